#include "spec/resources_json.h"

#include <array>
#include <utility>

#include "base/error.h"
#include "spec/json_fields.h"

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
    DeviceList{"weightDevice", "leafWeight", &BlockIo::leaf_weights},
    DeviceList{"throttleReadBpsDevice", "rate", &BlockIo::read_bytes},
    DeviceList{"throttleWriteBpsDevice", "rate", &BlockIo::write_bytes},
    DeviceList{"throttleReadIOPSDevice", "rate", &BlockIo::read_operations},
    DeviceList{"throttleWriteIOPSDevice", "rate", &BlockIo::write_operations},
};

std::optional<std::uint16_t> parse_weight(const Json& json, const char* key) {
  const auto weight = number<std::uint16_t>(json, key);
  if (weight && *weight != 0 && (*weight < 10 || *weight > 1000))
    throw Error::make(Errc::invalid, "'{}' is {}, expected 10 to 1000", key, *weight);
  return weight == 0 ? std::nullopt : weight;  // engines write 0 for the default
}

/// Of "weightDevice" each entry may have one or the other weight, or both.
BlockIo parse_block_io(const Json& json) {
  BlockIo block_io{.weight = parse_weight(json, "weight"), .leaf_weight = parse_weight(json, "leafWeight")};
  for (const DeviceList& each : kLists)
    for (const Json& item : json_array(json, each.key)) {
      const bool is_weight = std::string_view(each.key) == "weightDevice";
      if (is_weight && json_find(item, "weight") == nullptr && json_find(item, "leafWeight") == nullptr)
        throw Error(Errc::invalid, "an entry of 'weightDevice' has neither 'weight' nor 'leafWeight'");
      if (is_weight && json_find(item, each.value_key) == nullptr) continue;
      (block_io.*each.list)
          .push_back({.major = required_number<std::int64_t>(item, "major"),
                      .minor = required_number<std::int64_t>(item, "minor"),
                      .value = required_number<std::uint64_t>(item, each.value_key)});
    }
  return block_io;
}

/// "64KB", "2MB", "1GB".
void check_page_size(const std::string& size) {
  const std::size_t digits = size.find_first_not_of("0123456789");
  const std::string unit = digits == std::string::npos ? "" : size.substr(digits);
  if (digits == 0 || size.starts_with('0') || (unit != "KB" && unit != "MB" && unit != "GB"))
    throw Error::make(Errc::invalid, "'pageSize' is '{}', expected one such as 2MB", printable(size));
}

void parse_memory(const Json& json, Resources& resources) {
  resources.check_before_update = json_bool_or(json, "checkBeforeUpdate", false);
  resources.obsolete_memory = {.kernel = number<std::int64_t>(json, "kernel"),
                               .kernel_tcp = number<std::int64_t>(json, "kernelTCP"),
                               .use_hierarchy = std::nullopt};
  if (json_find(json, "useHierarchy") != nullptr)
    resources.obsolete_memory.use_hierarchy = json_bool_or(json, "useHierarchy", false);
}

void parse_cpu(const Json& json, Resources& resources) {
  resources.cpu_burst = number<std::uint64_t>(json, "burst");
  resources.cpu_realtime_runtime = number<std::int64_t>(json, "realtimeRuntime");
  resources.cpu_realtime_period = number<std::uint64_t>(json, "realtimePeriod");
  resources.cpu_idle = number<std::int64_t>(json, "idle");
  if (resources.cpu_idle && *resources.cpu_idle != 0 && *resources.cpu_idle != 1)
    throw Error::make(Errc::invalid, "'idle' is {}, expected 0 or 1", *resources.cpu_idle);
}

void parse_network(const Json& json, Resources& resources) {
  resources.network_class = number<std::uint32_t>(json, "classID");
  for (const Json& item : json_array(json, "priorities"))
    resources.link_priorities.push_back(
        {.name = json_string(item, "name"), .priority = required_number<std::uint32_t>(item, "priority")});
}

void parse_rdma(const Json& json, Resources& resources) {
  for (const auto& [device, limit] : json.items()) {
    const RdmaLimit parsed{.handles = number<std::uint32_t>(limit, "hcaHandles"),
                           .objects = number<std::uint32_t>(limit, "hcaObjects")};
    if (!parsed.handles && !parsed.objects)
      throw Error::make(Errc::invalid, "rdma '{}' limits neither 'hcaHandles' nor 'hcaObjects'",
                        printable(device));
    resources.rdma[device] = parsed;
  }
}

/// A member of the list `list` for this device: the one that is there, or a new one.
Json& entry_for(Json& list, const BlockDeviceValue& item) {
  for (Json& entry : list)
    if (entry["major"] == item.major && entry["minor"] == item.minor) return entry;
  list.push_back({{"major", item.major}, {"minor", item.minor}});
  return list.back();
}

void add_block_io(Json& json, const BlockIo& block_io) {
  if (block_io.weight) json["blockIO"]["weight"] = *block_io.weight;
  if (block_io.leaf_weight) json["blockIO"]["leafWeight"] = *block_io.leaf_weight;
  for (const DeviceList& each : kLists)
    for (const BlockDeviceValue& item : block_io.*each.list) {
      const bool is_leaf = std::string_view(each.value_key) == "leafWeight";
      Json& list = json["blockIO"][each.key];
      if (is_leaf)
        entry_for(list, item)[each.value_key] = item.value;
      else
        list.push_back({{"major", item.major}, {"minor", item.minor}, {each.value_key, item.value}});
    }
}

void add_cpu_and_memory(Json& json, const Resources& resources) {
  if (resources.check_before_update) json["memory"]["checkBeforeUpdate"] = true;
  const ObsoleteMemory& obsolete = resources.obsolete_memory;
  if (obsolete.kernel) json["memory"]["kernel"] = *obsolete.kernel;
  if (obsolete.kernel_tcp) json["memory"]["kernelTCP"] = *obsolete.kernel_tcp;
  if (obsolete.use_hierarchy) json["memory"]["useHierarchy"] = *obsolete.use_hierarchy;
  if (resources.cpu_burst) json["cpu"]["burst"] = *resources.cpu_burst;
  if (resources.cpu_realtime_runtime) json["cpu"]["realtimeRuntime"] = *resources.cpu_realtime_runtime;
  if (resources.cpu_realtime_period) json["cpu"]["realtimePeriod"] = *resources.cpu_realtime_period;
  if (resources.cpu_idle) json["cpu"]["idle"] = *resources.cpu_idle;
}

void add_network_and_rdma(Json& json, const Resources& resources) {
  if (resources.network_class) json["network"]["classID"] = *resources.network_class;
  for (const LinkPriority& link : resources.link_priorities)
    json["network"]["priorities"].push_back({{"name", link.name}, {"priority", link.priority}});
  for (const auto& [device, limit] : resources.rdma) {
    if (limit.handles) json["rdma"][device]["hcaHandles"] = *limit.handles;
    if (limit.objects) json["rdma"][device]["hcaObjects"] = *limit.objects;
  }
}

}  // namespace

void add_rare_resources(Json& json, const Resources& resources) {
  add_block_io(json, resources.block_io);
  add_cpu_and_memory(json, resources);
  add_network_and_rdma(json, resources);
  for (const HugepageLimit& limit : resources.hugepages)
    json["hugepageLimits"].push_back({{"pageSize", limit.page_size}, {"limit", limit.limit}});
  if (!resources.unified.empty()) json["unified"] = resources.unified;
}

void parse_rare_resources(const Json& json, Resources& resources) {
  if (const Json* block_io = json_find(json, "blockIO")) resources.block_io = parse_block_io(*block_io);
  parse_memory(part(json, "memory"), resources);
  parse_cpu(part(json, "cpu"), resources);
  parse_network(part(json, "network"), resources);
  parse_rdma(part(json, "rdma"), resources);
  for (const Json& item : json_array(json, "hugepageLimits")) {
    HugepageLimit limit{.page_size = json_string(item, "pageSize"),
                        .limit = required_number<std::uint64_t>(item, "limit")};
    check_page_size(limit.page_size);
    resources.hugepages.push_back(std::move(limit));
  }
  resources.unified = string_map(json, "unified");
}

}  // namespace lay::runner
