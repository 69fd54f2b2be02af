#include "spec/json_fields.h"

namespace lay::runner {

const Json& part(const Json& object, const char* key) {
  static const Json empty = Json::object();
  const Json* value = json_find(object, key);
  if (value == nullptr) return empty;
  if (!value->is_object()) throw Error::make(Errc::invalid, "'{}' is not an object", key);
  return *value;
}

std::map<std::string, std::string> string_map(const Json& object, const char* key) {
  std::map<std::string, std::string> result;
  const Json* value = json_find(object, key);
  if (value == nullptr) return result;
  if (!value->is_object()) throw Error::make(Errc::invalid, "'{}' is not an object of strings", key);
  for (const auto& [name, text] : value->items()) result[name] = json_string(*value, name.c_str());
  return result;
}

std::vector<IdMapping> parse_id_mappings(const Json& object, const char* key) {
  std::vector<IdMapping> mappings;
  for (const Json& json : json_array(object, key))
    mappings.push_back({.container_id = required_number<std::uint32_t>(json, "containerID"),
                        .host_id = required_number<std::uint32_t>(json, "hostID"),
                        .size = required_number<std::uint32_t>(json, "size")});
  return mappings;
}

Json to_json(const std::vector<IdMapping>& mappings) {
  Json list = Json::array();
  for (const IdMapping& mapping : mappings)
    list.push_back(
        {{"containerID", mapping.container_id}, {"hostID", mapping.host_id}, {"size", mapping.size}});
  return list;
}

}  // namespace lay::runner
