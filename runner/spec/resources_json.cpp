#include "spec/resources_json.h"

#include <array>
#include <utility>

#include "base/error.h"

namespace lay::runner {

namespace {

/// The lists of blockIO, and how a value is called in each.
struct DeviceList {
  const char* key;
  const char* value_key;
  std::vector<BlockDeviceValue> BlockIo::*list;
};

constexpr std::array kLists{
    DeviceList{"weightDevice", "weight", &BlockIo::weights},
    DeviceList{"throttleReadBpsDevice", "rate", &BlockIo::read_bytes},
    DeviceList{"throttleWriteBpsDevice", "rate", &BlockIo::write_bytes},
    DeviceList{"throttleReadIOPSDevice", "rate", &BlockIo::read_operations},
    DeviceList{"throttleWriteIOPSDevice", "rate", &BlockIo::write_operations},
};

std::uint64_t unsigned_of(const Json& json, const char* key) {
  const std::int64_t value = json_int(json, key);
  if (value < 0) throw Error::make(Errc::invalid, "'{}' is {}, expected no negative number", key, value);
  return static_cast<std::uint64_t>(value);
}

BlockIo parse_block_io(const Json& json) {
  BlockIo block_io;
  if (json_find(json, "leafWeight") != nullptr)
    throw Error(Errc::unsupported, "'leafWeight' is not supported in a runtime spec");
  if (json_find(json, "weight") != nullptr) {
    const std::uint64_t weight = unsigned_of(json, "weight");
    if (!std::in_range<std::uint16_t>(weight))
      throw Error::make(Errc::invalid, "'weight' is {}, expected 10 to 1000", weight);
    block_io.weight = static_cast<std::uint16_t>(weight);
  }
  for (const DeviceList& each : kLists)
    for (const Json& item : json_array(json, each.key))
      (block_io.*each.list)
          .push_back({.major = json_int(item, "major"),
                      .minor = json_int(item, "minor"),
                      .value = unsigned_of(item, each.value_key)});
  return block_io;
}

}  // namespace

void add_rare_resources(Json& json, const Resources& resources) {
  if (resources.block_io.weight) json["blockIO"]["weight"] = *resources.block_io.weight;
  for (const DeviceList& each : kLists)
    for (const BlockDeviceValue& item : resources.block_io.*each.list)
      json["blockIO"][each.key].push_back(
          {{"major", item.major}, {"minor", item.minor}, {each.value_key, item.value}});
  for (const HugepageLimit& limit : resources.hugepages)
    json["hugepageLimits"].push_back({{"pageSize", limit.page_size}, {"limit", limit.limit}});
  if (!resources.unified.empty()) json["unified"] = resources.unified;
}

void parse_rare_resources(const Json& json, Resources& resources) {
  if (const Json* block_io = json_find(json, "blockIO")) resources.block_io = parse_block_io(*block_io);
  for (const Json& item : json_array(json, "hugepageLimits"))
    resources.hugepages.push_back(
        {.page_size = json_string(item, "pageSize"), .limit = unsigned_of(item, "limit")});
  if (const Json* unified = json_find(json, "unified"))
    for (const auto& [name, value] : unified->items())
      resources.unified[name] = json_string(*unified, name.c_str());
}

}  // namespace lay::runner
