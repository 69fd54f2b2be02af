#include "flags/block_flags.h"

#include <sys/sysmacros.h>

#include <algorithm>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "flags/options.h"

namespace lay::cli {

namespace {

using runner::BlockDeviceValue;

constexpr std::uint64_t kLeastWeight = 10;
constexpr std::uint64_t kMostWeight = 1000;

enum class Unit { bytes, count };

/// "/dev/sda:1m": the device's numbers, and what stands behind the last colon.
BlockDeviceValue parse_device_value(const char* flag, const std::string& text, Unit unit) {
  const std::size_t colon = text.rfind(':');
  const std::string path = text.substr(0, colon);
  const std::string number = colon == std::string::npos ? "" : text.substr(colon + 1);
  const auto value = unit == Unit::bytes ? parse_size(number) : parse_number(number);
  if (path.empty() || !value)
    throw Error::make(Errc::invalid, "{} '{}' is no device with a number", flag, printable(text))
        .with_hint(fmt::format("{} /dev/sda:{}", flag, unit == Unit::bytes ? "10m" : "100"));
  struct ::stat info {};
  if (::stat(path.c_str(), &info) < 0)
    throw Error::from_errno("{} '{}'", flag, printable(path)).with_hint("lsblk shows block devices");
  if (!S_ISBLK(info.st_mode))
    throw Error::make(Errc::invalid, "{} '{}' is no block device", flag, printable(path))
        .with_hint("lsblk shows block devices");
  return {.major = gnu_dev_major(info.st_rdev), .minor = gnu_dev_minor(info.st_rdev), .value = *value};
}

void check_weight(const char* flag, std::uint64_t weight) {
  if (weight < kLeastWeight || weight > kMostWeight)
    throw Error::make(Errc::invalid, "{} {} is not between {} and {}", flag, weight, kLeastWeight,
                      kMostWeight)
        .with_hint("100 is the weight of every other; 200 is twice as much");
}

void put(std::vector<BlockDeviceValue>& list, const BlockDeviceValue& value) {
  std::erase_if(list, [&](const BlockDeviceValue& other) {
    return other.major == value.major && other.minor == value.minor;
  });
  list.push_back(value);
}

}  // namespace

void BlockFlags::add_to(Parser& parser) {
  parser.add_option("--blkio-weight", weight, "its weight for disks with BFQ or io.cost: 10 to 1000")
      .type_name("N");
  parser.add_list("--blkio-weight-device", weight_devices, "the same for one disk", "DEVICE:N");
  parser.add_list("--device-read-bps", read_bytes, "most bytes a second: /dev/sda:10m", "DEVICE:SIZE");
  parser.add_list("--device-write-bps", write_bytes, "the same for writing", "DEVICE:SIZE");
  parser.add_list("--device-read-iops", read_operations, "most operations a second", "DEVICE:N");
  parser.add_list("--device-write-iops", write_operations, "the same for writing", "DEVICE:N");
}

void BlockFlags::apply(runner::BlockIo& block_io) const {
  if (weight) {
    check_weight("--blkio-weight", *weight);
    block_io.weight = static_cast<std::uint16_t>(*weight);
  }
  for (const std::string& text : weight_devices) {
    const BlockDeviceValue value = parse_device_value("--blkio-weight-device", text, Unit::count);
    check_weight("--blkio-weight-device", value.value);
    put(block_io.weights, value);
  }
  for (const std::string& text : read_bytes)
    put(block_io.read_bytes, parse_device_value("--device-read-bps", text, Unit::bytes));
  for (const std::string& text : write_bytes)
    put(block_io.write_bytes, parse_device_value("--device-write-bps", text, Unit::bytes));
  for (const std::string& text : read_operations)
    put(block_io.read_operations, parse_device_value("--device-read-iops", text, Unit::count));
  for (const std::string& text : write_operations)
    put(block_io.write_operations, parse_device_value("--device-write-iops", text, Unit::count));
}

}  // namespace lay::cli
