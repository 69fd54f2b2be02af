#include "flags/surroundings_flags.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/text.h"
#include "flags/mount_words.h"

namespace lay::cli {

namespace {

constexpr const char* kPlace = "/etc/localtime";
constexpr std::string_view kZones = "/usr/share/zoneinfo/";
constexpr std::uint32_t kMostUmask = 0777;

/// The file of a zone on this machine: "local" is the machine's own.
std::string zone_file(const std::string& zone) {
  const std::filesystem::path path = zone == "local" ? kPlace : std::string(kZones) + zone;
  std::error_code failure;
  const std::string file = std::filesystem::canonical(path, failure);
  const bool is_elsewhere = zone != "local" && zone.find("..") != std::string::npos;
  if (failure || is_elsewhere || !std::filesystem::is_regular_file(file, failure))
    throw Error::make(Errc::not_found, "--tz '{}': there is no such time zone in {}", printable(zone), kZones)
        .with_hint("--tz Europe/Berlin, or --tz local; zones come with the package tzdata");
  return zone == "local" ? file : path.string();
}

}  // namespace

void SurroundingsFlags::add_to(Parser& parser) {
  parser.add_option("--umask", umask, "permissions that new files do not get (0022)").type_name("MODE");
  parser.add_option("--tz", time_zone, "time zone; local: this machine's").type_name("ZONE");
}

void SurroundingsFlags::apply(runner::Spec& spec) const {
  if (!umask.empty()) {
    spec.process.user.umask = parse_octal(umask, kMostUmask);
    if (!spec.process.user.umask)
      throw Error::make(Errc::invalid, "--umask '{}' is no octal number up to 777", printable(umask))
          .with_hint("--umask 0077");
  }
  const auto is_there = [](const runner::Mount& mount) { return place_of(mount) == kPlace; };
  if (time_zone.empty() || std::ranges::any_of(spec.mounts, is_there)) return;
  spec.mounts.push_back({.destination = kPlace,
                         .type = "bind",
                         .source = zone_file(time_zone),
                         .options = {"rbind", "rprivate", "nosuid", "nodev", "ro"}});
}

std::string time_zone_of(const runner::Spec& spec) {
  for (const runner::Mount& mount : spec.mounts)
    if (mount.destination == kPlace && mount.source.starts_with(kZones))
      return mount.source.substr(kZones.size());
  return {};
}

}  // namespace lay::cli
