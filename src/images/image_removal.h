#pragma once

#include <optional>
#include <string>
#include <vector>

#include "containers/removal.h"
#include "layerstore/store.h"
#include "runner/container.h"

namespace lay::cli {

/// What remove_image() did.
struct RemovedNames {
  std::vector<layerstore::NamedImage> removed;
  std::vector<std::string> left;  ///< somebody else removed them or moved them to another image meanwhile
};

/// Takes away the names that `text` stands for, of an id that has several only by force. What no other name
/// or container needs is left to collect(). Throws not_found, and busy for an image that a container was made
/// from, unless by force. With `only` names of other images are left alone.
RemovedNames remove_image(const layerstore::Store& store, const runner::ContainerStore& containers,
                          const std::string& text, Force force,
                          const std::optional<layerstore::Digest>& only = std::nullopt);
/// Says of a name in `left` what became of it.
std::string moved_meanwhile(const std::string& name);

}  // namespace lay::cli
