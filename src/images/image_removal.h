#pragma once

#include <optional>
#include <string>
#include <vector>

#include "containers/removal.h"
#include "layerstore/store.h"
#include "runner/container.h"

namespace lay::cli {

/// Takes away the names that `text` stands for, of an id that has several only by force; returns them. One
/// that somebody else moves to another image meanwhile stays, with a note. What no other name or container
/// needs is left to collect(). Throws not_found, and busy for an image that a container was made from, unless
/// by force. With `only` names of other images are left alone.
std::vector<layerstore::NamedImage> remove_image(
    const layerstore::Store& store, const runner::ContainerStore& containers, const std::string& text,
    Force force, const std::optional<layerstore::Digest>& only = std::nullopt);

}  // namespace lay::cli
