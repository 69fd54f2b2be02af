#pragma once

#include <cstdint>
#include <optional>

#include "layerstore/store.h"

namespace lay::layerstore {

/// Reads the whole layer and compares it with its diff_id: in the erofs form its tar, and the image against
/// one made anew of the tar; in the tree form the tree against one unpacked from `blob` (without it, nothing
/// is known to compare with). Returns the bytes read. Throws corrupt and what reading throws; what fails of
/// the unpacking is no damage of the layer (is_damage).
std::uint64_t verify_layer(const Store& store, const Digest& diff_id, const std::optional<Descriptor>& blob);

/// Whether an earlier boot left the layer, perhaps incomplete: it is checked and, when need be, made again
/// before it is used.
bool is_unchecked(const Store& store, const Digest& diff_id);

}  // namespace lay::layerstore
