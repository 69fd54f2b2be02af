#include "layerstore/descriptor.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "images/annotations.h"

namespace lay::layerstore {

namespace {

/// The largest integer that every JSON reader keeps exactly.
constexpr std::uint64_t kMaxSize = std::uint64_t{1} << 53U;

/// restricted-name of RFC 6838 section 4.2, which image-spec descriptor.md asks for.
bool is_restricted_name(std::string_view name) {
  constexpr std::string_view kFirst = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  constexpr std::string_view kMarks = "!#$&^_.+-";
  if (name.empty() || name.size() > 127 || kFirst.find(name.front()) == std::string_view::npos) return false;
  return std::all_of(name.begin(), name.end(), [&](char c) {
    return kFirst.find(c) != std::string_view::npos || kMarks.find(c) != std::string_view::npos;
  });
}

std::string parse_media_type(const Json& json) {
  std::string type = json_string(json, "mediaType");
  const std::size_t slash = type.find('/');
  const bool valid = slash != std::string::npos &&
                     is_restricted_name(std::string_view(type).substr(0, slash)) &&
                     is_restricted_name(std::string_view(type).substr(slash + 1));
  if (!valid)
    throw Error::make(Errc::invalid, "'mediaType' is '{}', expected a media type",
                      printable(std::string_view(type).substr(0, 80)));
  return type;
}

std::uint64_t parse_size_member(const Json& json) {
  const Json* size = json_find(json, "size");
  if (size == nullptr) throw Error::make(Errc::invalid, "'size' is missing");
  // For the JSON reader digits alone are unsigned; "-0" is a signed 0, "1.0" and "1e3" are no integers.
  const bool whole =
      size->is_number_unsigned() || (size->is_number_integer() && size->get<std::int64_t>() > 0);
  if (!whole || size->get<std::uint64_t>() > kMaxSize)
    throw Error::make(Errc::invalid, "'size' is {}, expected a whole number from 0 to 2^53",
                      printable(size->dump().substr(0, 80)));
  return size->get<std::uint64_t>();
}

Platform parse_platform_member(const Json& json) {
  return {.os = json_string(json, "os"),
          .architecture = json_string(json, "architecture"),
          .variant = json_string_or(json, "variant", "")};
}

}  // namespace

std::map<std::string, std::string> parse_string_map(const Json& object, const char* key) {
  const Json* map = json_find(object, key);
  if (map == nullptr) return {};
  if (!map->is_object())
    throw Error::make(Errc::invalid, "'{}' is {}, expected a map of strings", key, map->type_name());
  std::map<std::string, std::string> result;
  for (const auto& [name, value] : map->items()) {
    if (!value.is_string())
      throw Error::make(Errc::invalid, "'{}' of '{}' is {}, expected a string", printable(name), key,
                        value.type_name());
    result.emplace(name, value.get<std::string>());
  }
  return result;
}

Descriptor parse_descriptor(const Json& json) {
  Descriptor result{.media_type = parse_media_type(json),
                    .digest = Digest::parse(json_string(json, "digest")),
                    .size = parse_size_member(json),
                    .platform = std::nullopt,
                    .annotations = parse_string_map(json, "annotations")};
  if (const Json* platform = json_find(json, "platform"))
    result.platform = with_context("platform", [&] { return parse_platform_member(*platform); });
  return result;
}

Json to_json(const Descriptor& descriptor) {
  Json json{{"mediaType", descriptor.media_type},
            {"digest", descriptor.digest.to_string()},
            {"size", descriptor.size}};
  if (descriptor.platform) {
    Json& platform = json["platform"];
    platform = {{"os", descriptor.platform->os}, {"architecture", descriptor.platform->architecture}};
    if (!descriptor.platform->variant.empty()) platform["variant"] = descriptor.platform->variant;
  }
  if (!descriptor.annotations.empty()) json["annotations"] = descriptor.annotations;
  return json;
}

}  // namespace lay::layerstore
