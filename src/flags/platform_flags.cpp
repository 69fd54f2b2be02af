#include "flags/platform_flags.h"

namespace lay::cli {

void PlatformFlags::add_to(Parser& parser) {
  parser.add_option("--platform", whole_, "instead of this machine's").type_name("OS/ARCH[/VARIANT]");
  parser.add_option("--os", os_, "its system alone").type_name("OS");
  parser.add_option("--arch", architecture_, "its architecture alone").type_name("ARCH");
  parser.add_option("--variant", variant_, "of the architecture").type_name("VARIANT");
}

layerstore::Platform PlatformFlags::value() const {
  const bool has_parts = !os_.empty() || !architecture_.empty() || !variant_.empty();
  if (!whole_.empty()) {
    if (has_parts) throw UsageError{"--platform says what --os, --arch and --variant say"};
    return layerstore::parse_platform(whole_);
  }
  const layerstore::Platform host = layerstore::host_platform();
  if (!has_parts) return host;
  std::string text = (os_.empty() ? host.os : os_) + "/";
  text += architecture_.empty() ? host.architecture : architecture_;
  if (!variant_.empty()) text += "/" + variant_;
  return layerstore::parse_platform(text);
}

}  // namespace lay::cli
