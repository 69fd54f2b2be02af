#include "base/json.h"

#include "base/error.h"
#include "base/text.h"

namespace lay {

namespace {

constexpr int kMaxDepth = 64;

[[noreturn]] void throw_type(const char* key, const char* expected, const Json& got) {
  throw Error::make(Errc::invalid, "'{}' is {}, expected {}", key, got.type_name(), expected);
}

const Json& require(const Json& object, const char* key) {
  const Json* value = json_find(object, key);
  if (value == nullptr) throw Error::make(Errc::invalid, "'{}' is missing", key);
  return *value;
}

/// The first string, key or value, that JSON cannot hold.
std::string first_not_utf8(const Json& value) {
  const auto is_bad = [](const std::string& text) {
    return Json(text).dump(-1, ' ', false, Json::error_handler_t::ignore) !=
           Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
  };
  if (value.is_string()) return is_bad(value.get_ref<const std::string&>()) ? value.get<std::string>() : "";
  std::string found;
  if (!value.is_structured()) return found;
  for (const auto& item : value.items()) {
    if (!found.empty()) break;
    found = value.is_object() && is_bad(item.key()) ? item.key() : first_not_utf8(item.value());
  }
  return found;
}

}  // namespace

Json parse_json(std::string_view text, const std::string& what) {
  if (text.size() > kMaxJsonBytes)
    throw Error::make(Errc::invalid, "{}: {} bytes, expected at most {}", what, text.size(), kMaxJsonBytes);
  // The reader below takes a NUL for the end and skips a byte order mark: others would see another document.
  if (text.find('\0') != std::string_view::npos || text.starts_with("\xef\xbb\xbf"))
    throw Error::make(Errc::invalid, "{}: not valid JSON: it holds a NUL or begins with a byte order mark",
                      what);
  // The depth is counted before parsing: a deeply nested value must not exist, not even to be destroyed.
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxDepth) throw Error::make(Errc::invalid, "{}: nested deeper than {}", what, kMaxDepth);
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    throw Error::make(Errc::invalid, "{}: not valid JSON: it breaks at byte {} of {}", what, error.byte,
                      text.size());
  } catch (const Json::exception&) {
    throw Error::make(Errc::invalid, "{}: not valid JSON", what);
  }
}

std::string dump_json(const Json& value) {
  try {
    return value.dump();
  } catch (const Json::exception&) {
    throw Error::make(Errc::invalid, "'{}' is not UTF-8, and JSON holds nothing else",
                      printable(first_not_utf8(value)))
        .with_hint("give it another name");
  }
}

std::string dump_json_pretty(const Json& value) {
  return value.dump(2, ' ', false, Json::error_handler_t::replace);
}

const Json* json_find(const Json& object, const char* key) {
  if (!object.is_object()) throw_type(key, "a member of an object", object);
  const auto it = object.find(key);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

std::string json_string(const Json& object, const char* key) {
  const Json& value = require(object, key);
  if (!value.is_string()) throw_type(key, "a string", value);
  return value.get<std::string>();
}

std::string json_string_or(const Json& object, const char* key, std::string fallback) {
  return json_find(object, key) == nullptr ? std::move(fallback) : json_string(object, key);
}

std::int64_t json_int(const Json& object, const char* key) {
  const Json& value = require(object, key);
  const bool fits = value.is_number_integer() &&
                    (!value.is_number_unsigned() || value.get<std::uint64_t>() <= std::uint64_t{INT64_MAX});
  if (!fits) throw_type(key, "a 64-bit integer", value);
  return value.get<std::int64_t>();
}

std::int64_t json_int_or(const Json& object, const char* key, std::int64_t fallback) {
  return json_find(object, key) == nullptr ? fallback : json_int(object, key);
}

bool json_bool_or(const Json& object, const char* key, bool fallback) {
  const Json* value = json_find(object, key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) throw_type(key, "true or false", *value);
  return value->get<bool>();
}

std::vector<std::string> json_strings(const Json& object, const char* key) {
  std::vector<std::string> result;
  for (const Json& item : json_array(object, key)) {
    if (!item.is_string()) throw_type(key, "a list of strings", item);
    result.push_back(item.get<std::string>());
  }
  return result;
}

const Json& json_array(const Json& object, const char* key) {
  static const Json empty = Json::array();
  const Json* value = json_find(object, key);
  if (value == nullptr) return empty;
  if (!value->is_array()) throw_type(key, "a list", *value);
  return *value;
}

}  // namespace lay
