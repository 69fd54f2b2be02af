#pragma once

#include <map>
#include <string>

#include "base/json.h"

namespace lay::layerstore {

/// image-spec annotations.md: a map of strings under `key`; absent or null is empty. Throws invalid.
std::map<std::string, std::string> parse_string_map(const Json& object, const char* key);

/// The annotation that names an image in an index (image-spec annotations.md).
constexpr const char* kRefName = "org.opencontainers.image.ref.name";
/// The whole name with the registry's host, where the one above is only a tag: containerd and docker 25.
constexpr const char* kCompleteName = "io.containerd.image.name";

}  // namespace lay::layerstore
