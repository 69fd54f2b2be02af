#pragma once

#include <cstdint>

#include "base/stream.h"
#include "erofs/erofs_format.h"
#include "erofs/layer_tree.h"

namespace lay::layerstore {

/// Where the only slot of the device table lies: of the tar.
constexpr std::uint64_t kDeviceTableOffset = erofs::kSuperOffset + sizeof(erofs::Super);

/// Writes the EROFS metadata image of a layer: mounted with the tar as its only device, it shows `tree`, and
/// the kernel reads the files' data out of the tar.
///   tar_size   bytes of the tar, which data offsets point into
///   out        receives the image from its start; not finished here
///   throws     unsupported when the layer exceeds the format (a tar of 2 TiB, 256 KiB of attributes on one
///              inode, sparse files whose holes are not aligned to 512 bytes or need too many chunks)
/// The same tree gives the same bytes. Takes some 20 bytes of the tree's memory for each inode.
void write_erofs(const LayerTree& tree, std::uint64_t tar_size, ByteSink& out);

}  // namespace lay::layerstore
