#include "flags/foreign_flags.h"

#include <algorithm>
#include <array>

namespace lay::cli {

namespace {

struct ForeignFlag {
  std::string_view name;
  std::string_view way;
};

constexpr std::string_view kHealthWay =
    "lay makes no checks: a timer of systemd, or a monitor, runs 'lay exec CONTAINER COMMAND'";

constexpr std::array kForeignFlags{
    ForeignFlag{"--detach-keys", "lay run -d, then lay logs -f CONTAINER and lay exec -it CONTAINER sh"},
    ForeignFlag{"--domainname", "lay run --hostname NAME.DOMAIN"},
    ForeignFlag{"--gpus", "lay run --device /dev/NAME for each device"},
    ForeignFlag{"--health-cmd", kHealthWay},
    ForeignFlag{"--health-interval", kHealthWay},
    ForeignFlag{"--health-on-failure", kHealthWay},
    ForeignFlag{"--health-retries", kHealthWay},
    ForeignFlag{"--health-start-period", kHealthWay},
    ForeignFlag{"--health-timeout", kHealthWay},
    ForeignFlag{"--link", "lay network create NET; containers with --network NET find each other by name"},
    ForeignFlag{"--pod", "lay run --network container:NAME --ipc container:NAME --pid container:NAME"},
    ForeignFlag{"--restart", "lay starts nothing again: a unit of systemd with Restart= that runs lay does"},
    ForeignFlag{"--rootfs", "lay import FOLDER NAME makes an image of it"},
    ForeignFlag{"--secret", "lay run -v /FILE:/run/secrets/NAME:ro"},
    ForeignFlag{"--volumes-from", "lay run -v /FOLDER:/PLACE for each folder of the host that the other has"},
};

}  // namespace

std::string_view way_without_flag(std::string_view name) {
  const auto found = std::ranges::find(kForeignFlags, name, &ForeignFlag::name);
  return found == kForeignFlags.end() ? std::string_view() : found->way;
}

}  // namespace lay::cli
