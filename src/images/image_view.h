#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "images/image_lookup.h"

/// What commands show of images.
namespace lay::cli {

/// A stored name as its two columns. The tag is behind the last ':' that follows the last '/'.
struct SplitName {
  std::string repository;
  std::string tag;  ///< "<none>" of a name with a digest
};
SplitName split_name(const std::string& name);

/// Bytes that the compressed layers take in the store.
std::uint64_t stored_size(const layerstore::Image& image);

/// Every name of the store that leads to this image, whatever manifest it has there, in the store's order.
/// One whose manifest cannot be read is left out.
std::vector<layerstore::NamedImage> names_of(const layerstore::Store& store, const layerstore::Image& image);

/// The members that scripts for docker and podman look at; RepoTags and RepoDigests are of `names`.
Json describe_image(const FoundImage& found, const std::vector<layerstore::NamedImage>& names);

}  // namespace lay::cli
