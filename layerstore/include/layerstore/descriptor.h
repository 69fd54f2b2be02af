#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/json.h"
#include "layerstore/digest.h"

namespace lay::layerstore {

/// image-spec image-index.md "platform".
struct Platform {
  std::string os;
  std::string architecture;
  std::string variant;

  bool operator==(const Platform&) const = default;
};

/// The machine lay runs on, in the names of Go's GOOS and GOARCH.
Platform host_platform();
/// "linux/arm64/v8"; throws invalid.
Platform parse_platform(std::string_view text);
std::string to_string(const Platform& platform);

/// image-spec descriptor.md: what a blob is, which one, and how long.
struct Descriptor {
  std::string media_type;
  Digest digest;
  std::uint64_t size = 0;  ///< bytes as stored
  std::optional<Platform> platform;
  std::map<std::string, std::string> annotations;

  bool operator==(const Descriptor&) const = default;
};

/// Throws invalid on anything the specification does not allow, sizes above 2^53 included.
Descriptor parse_descriptor(const Json& json);
Json to_json(const Descriptor& descriptor);

}  // namespace lay::layerstore
