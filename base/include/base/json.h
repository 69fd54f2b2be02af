#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// JSON of documents that others wrote: every access checks the type and names the key that is wrong.
namespace lay {

using Json = nlohmann::json;

/// No document lay reads is larger (the peers' limit for manifests and configs).
constexpr std::size_t kMaxJsonBytes = 4 * 1024 * 1024;

/// Parses one whole document; `what` names it in errors. Throws invalid: syntax, trailing bytes, nesting
/// deeper than 64, larger than kMaxJsonBytes, invalid UTF-8.
Json parse_json(std::string_view text, const std::string& what);
/// Compact UTF-8 with sorted keys; throws invalid on strings that are not UTF-8.
std::string dump_json(const Json& value);
std::string dump_json_pretty(const Json& value);

/// The member `key` of an object, or nullptr when absent or null. Throws invalid when `object` is no object.
const Json* json_find(const Json& object, const char* key);

std::string json_string(const Json& object, const char* key);
std::string json_string_or(const Json& object, const char* key, std::string fallback);
std::int64_t json_int(const Json& object, const char* key);
std::int64_t json_int_or(const Json& object, const char* key, std::int64_t fallback);
bool json_bool_or(const Json& object, const char* key, bool fallback);
/// Absent or null gives an empty list.
std::vector<std::string> json_strings(const Json& object, const char* key);
/// The list under `key`; absent or null gives an empty one.
const Json& json_array(const Json& object, const char* key);

}  // namespace lay
