#include "flags/platform_flags.h"

#include <cstdlib>

#include "base/error.h"
#include "base/text.h"
#include "layerstore/platform_rank.h"

namespace lay::cli {

namespace {

/// One word is an architecture, or this machine's operating system.
std::string complete(const std::string& text) {
  if (text.find('/') != std::string::npos) return text;
  const layerstore::Platform here = layerstore::host_platform();
  return here.os + "/" + (to_lower(text) == here.os ? here.architecture : text);
}

/// source   containerd's platforms.Parse(), by which docker reads it
std::string default_platform() {
  constexpr const char* kVariable = "DOCKER_DEFAULT_PLATFORM";
  const char* value = std::getenv(kVariable);
  const std::string text = value == nullptr || *value == '\0' ? "" : complete(value);
  if (!text.empty()) with_context(kVariable, [&] { layerstore::parse_platform(text); });
  return text;
}

}  // namespace

layerstore::Platform platform_or_default(const std::string& flag) {
  const std::string wanted = flag.empty() ? default_platform() : flag;
  return wanted.empty() ? layerstore::host_platform() : layerstore::parse_platform(wanted);
}

void PlatformFlags::add_to(Parser& parser) {
  parser.add_option("--platform", platform, "instead of this machine's").type_name("OS/ARCH[/VARIANT]");
  parser.add_option("--os", os, "the first part of --platform").type_name("OS");
  parser.add_option("--arch", arch, "the second").type_name("ARCH");
  parser.add_option("--variant", variant, "the third").type_name("VARIANT");
}

std::string PlatformFlags::text() const {
  if (os.empty() && arch.empty() && variant.empty()) return platform.empty() ? default_platform() : platform;
  if (!platform.empty()) throw UsageError{"--platform goes without --os, --arch and --variant"};
  const layerstore::Platform here = layerstore::host_platform();
  std::string text = (os.empty() ? here.os : os) + "/" + (arch.empty() ? here.architecture : arch);
  return variant.empty() ? text : text + "/" + variant;
}

layerstore::Platform PlatformFlags::value() const {
  return platform_or_default(text());
}

}  // namespace lay::cli
