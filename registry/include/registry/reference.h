#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "layerstore/digest.h"

namespace lay::registry {

/// A name of an image in a registry, as docker reads it (distribution reference grammar).
struct Reference {
  std::string domain;      ///< "docker.io", "localhost:5000"
  std::string repository;  ///< "library/debian", "team/myapp"
  std::string tag;         ///< empty only when a digest is given and no tag was
  std::optional<layerstore::Digest> digest;

  bool operator==(const Reference&) const = default;
};

/// "debian" is docker.io/library/debian:latest; the first part is a host when it has "." or ":" or is
/// "localhost". Throws invalid, with a hint, on everything the grammar does not allow.
Reference parse_reference(std::string_view text);
/// The whole name: "docker.io/library/debian:12", "host/repo:tag@sha256:…".
std::string to_string(const Reference& reference);
/// What goes into URLs behind "manifests/": the digest when there is one, the tag otherwise.
std::string manifest_selector(const Reference& reference);

/// A local name as the user wrote it with ":latest" added when it has neither tag nor digest: what a commit
/// or import is stored under. Throws invalid as parse_reference does.
std::string local_name(std::string_view text);

}  // namespace lay::registry
