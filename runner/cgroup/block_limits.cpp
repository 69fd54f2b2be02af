#include "cgroup/block_limits.h"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "cgroup/place.h"

namespace lay::runner {

namespace {

constexpr std::size_t kMaxFile = 64 * 1024;

struct Rate {
  std::vector<BlockDeviceValue> BlockIo::*list;
  const char* flag;
  const char* v1_file;
  const char* v2_key;  ///< in io.max
};

constexpr std::array kRates{
    Rate{&BlockIo::read_bytes, "--device-read-bps", "blkio.throttle.read_bps_device", "rbps"},
    Rate{&BlockIo::write_bytes, "--device-write-bps", "blkio.throttle.write_bps_device", "wbps"},
    Rate{&BlockIo::read_operations, "--device-read-iops", "blkio.throttle.read_iops_device", "riops"},
    Rate{&BlockIo::write_operations, "--device-write-iops", "blkio.throttle.write_iops_device", "wiops"},
};

/// v1 calls the controller blkio, v2 io.
std::optional<Place> find_block_place(const std::vector<CgroupGroup>& groups, const std::string& v1_file,
                                      const std::string& v2_file) {
  if (auto place = find_place(groups, "blkio", v1_file, v2_file)) return place;
  return find_place(groups, "io", v1_file, v2_file);
}

void set_rates(const std::vector<CgroupGroup>& groups, const Rate& rate, const BlockIo& block_io) {
  const std::vector<BlockDeviceValue>& list = block_io.*rate.list;
  if (list.empty()) return;
  const auto place = find_block_place(groups, rate.v1_file, "io.max");
  if (!place)
    throw Error::make(Errc::unsupported,
                      "{} needs the cgroup controller 'io' or 'blkio', which this machine does not offer",
                      rate.flag)
        .with_hint("leave the limit out, or mount and enable the controller (see cgroups(7))");
  for (const BlockDeviceValue& device : list) {
    with_context(fmt::format("{} for device {}:{}", rate.flag, device.major, device.minor), [&] {
      if (place->version == CgroupVersion::v1)
        return write_limit(*place, rate.v1_file,
                           fmt::format("{}:{} {}", device.major, device.minor, device.value));
      const std::string value = device.value == 0 ? "max" : std::to_string(device.value);
      write_limit(*place, "io.max",
                  fmt::format("{}:{} {}={}", device.major, device.minor, rate.v2_key, value));
    });
  }
}

bool has_disk_with_bfq() {
  const auto folder = sys::try_open_at(sys::cwd(), "/sys/block", O_RDONLY | O_DIRECTORY);
  if (!folder) return false;
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(sys::dup_fd(*folder).release()), &::closedir);
  if (!stream) throw Error::from_errno("list '/sys/block'");
  while (const dirent* entry = ::readdir(stream.get())) {
    const auto file = sys::try_open_at(*folder, std::string(entry->d_name) + "/queue/scheduler", O_RDONLY);
    if (file && sys::read_all(*file, kMaxFile).find("[bfq]") != std::string::npos) return true;
  }
  return false;
}

/// io.cost.qos is a file of the hierarchy's root alone: "8:0 enable=1 ctrl=auto …".
bool has_disk_with_io_cost(const std::vector<CgroupGroup>& groups) {
  for (const CgroupGroup& group : groups) {
    if (group.hierarchy.version != CgroupVersion::v2) continue;
    const auto file = sys::try_open_at(sys::cwd(), group.hierarchy.mount_point + "/io.cost.qos", O_RDONLY);
    if (file && sys::read_all(*file, kMaxFile).find("enable=1") != std::string::npos) return true;
  }
  return false;
}

/// Where weights go: BFQ's files, or v2's own, which have another scale.
struct WeightPlace {
  Place place;
  std::string file;
  std::string device_file;
  bool is_wide = false;  ///< 1 to 10000 instead of 1 to 1000
};

WeightPlace require_weight_place(const std::vector<CgroupGroup>& groups) {
  if (has_disk_with_bfq())
    if (const auto place = find_block_place(groups, "blkio.bfq.weight", "io.bfq.weight")) {
      if (place->version == CgroupVersion::v1)
        return {.place = *place, .file = "blkio.bfq.weight", .device_file = "blkio.bfq.weight_device"};
      return {.place = *place, .file = "io.bfq.weight", .device_file = "io.bfq.weight"};
    }
  if (has_disk_with_io_cost(groups))
    if (const auto place = find_place(groups, "io", "", "io.weight"))
      return {.place = *place, .file = "io.weight", .device_file = "io.weight", .is_wide = true};
  throw Error(Errc::unsupported,
              "--blkio-weight needs a disk whose scheduler heeds weights, and this machine has none")
      .with_hint("echo bfq >/sys/block/DISK/queue/scheduler");
}

/// 10 to 1000 evenly over 1 to 10000, as runc does.
std::uint64_t weight_for(const WeightPlace& place, std::uint64_t weight) {
  return place.is_wide ? 1 + (std::max<std::uint64_t>(weight, 10) - 10) * 9999 / 990 : weight;
}

void set_weights(const std::vector<CgroupGroup>& groups, const BlockIo& block_io) {
  if (!block_io.weight && block_io.weights.empty()) return;
  const WeightPlace weights = require_weight_place(groups);
  if (block_io.weight)
    write_limit(weights.place, weights.file, std::to_string(weight_for(weights, *block_io.weight)));
  for (const BlockDeviceValue& device : block_io.weights)
    with_context(fmt::format("--blkio-weight-device {}:{}", device.major, device.minor), [&] {
      write_limit(weights.place, weights.device_file,
                  fmt::format("{}:{} {}", device.major, device.minor, weight_for(weights, device.value)));
    });
}

}  // namespace

void set_block_io(const std::vector<CgroupGroup>& groups, const BlockIo& block_io) {
  if (block_io.leaf_weight || !block_io.leaf_weights.empty())
    throw Error(Errc::unsupported, "blockIO.leafWeight went with the scheduler CFQ, which Linux 5.0 gave up")
        .with_hint("leave it out");
  set_weights(groups, block_io);
  for (const Rate& rate : kRates) set_rates(groups, rate, block_io);
}

}  // namespace lay::runner
