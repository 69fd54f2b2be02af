#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "layerstore/descriptor.h"

namespace lay::layerstore {

namespace {

struct Machine {
  std::string_view alias;  ///< as uname(2) and people write it
  std::string_view architecture;
  std::string_view variant;
};

constexpr std::array<Machine, 13> kMachines{{{"x86_64", "amd64", ""},
                                             {"x86-64", "amd64", ""},
                                             {"i386", "386", ""},
                                             {"i486", "386", ""},
                                             {"i586", "386", ""},
                                             {"i686", "386", ""},
                                             {"aarch64", "arm64", ""},
                                             {"armv8l", "arm", "v7"},
                                             {"armhf", "arm", "v7"},
                                             {"armv7l", "arm", "v7"},
                                             {"armel", "arm", "v6"},
                                             {"armv6l", "arm", "v6"},
                                             {"loongarch64", "loong64", ""}}};

/// The architecture in Go's names; unknown ones are taken as they are.
std::pair<std::string, std::string> normalise(std::string_view architecture) {
  for (const Machine& machine : kMachines)
    if (machine.alias == architecture)
      return {std::string(machine.architecture), std::string(machine.variant)};
  return {std::string(architecture), ""};
}

bool is_platform_word(std::string_view word) {
  return !word.empty() && word.size() <= 64 && word.front() != '.' &&
         std::all_of(word.begin(), word.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
         });
}

}  // namespace

Platform host_platform() {
  struct ::utsname names {};
  if (::uname(&names) < 0) throw Error::from_errno("ask for the machine's name");
  auto [architecture, variant] = normalise(names.machine);
  return {.os = "linux", .architecture = std::move(architecture), .variant = std::move(variant)};
}

Platform parse_platform(std::string_view text) {
  const std::vector<std::string> parts = split(to_lower(text), '/');
  if (parts.size() < 2 || parts.size() > 3 || !std::all_of(parts.begin(), parts.end(), is_platform_word))
    throw Error::make(Errc::invalid, "platform '{}': expected os/architecture or os/architecture/variant",
                      printable(text.substr(0, 80)))
        .with_hint("for example linux/amd64 or linux/arm64/v8");
  auto [architecture, variant] = normalise(parts[1]);
  return {.os = parts[0],
          .architecture = std::move(architecture),
          .variant = parts.size() == 3 ? parts[2] : variant};
}

std::string to_string(const Platform& platform) {
  std::string text = platform.os + "/" + platform.architecture;
  if (!platform.variant.empty()) text += "/" + platform.variant;
  return text;
}

}  // namespace lay::layerstore
