#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/spill_memory.h"
#include "base/stream.h"
#include "base/unique_fd.h"
#include "erofs/layer_tree.h"
#include "layerstore/apply.h"

/// What is mounted of a layer: EROFS metadata, and behind their last block a seal, the SHA-256 in hex of
/// them, of the lists of StackedFolders and of the length of the tar. The kernel reads the blocks that the
/// superblock tells of, and no further.
namespace lay::layerstore {

constexpr std::size_t kSealSize = 64;

/// Writes the whole image of a layer whose tar has `tar_size` bytes; as write_erofs().
void write_layer_image(const LayerTree& tree, std::uint64_t tar_size, const StackedFolders& folders,
                       ByteSink& out);

/// Whether the image and the lists are what was written, and the tar is as long as it was. Reads the whole
/// image, some hundred bytes for each file.
bool has_good_seal(const UniqueFd& image, const UniqueFd& tar, const StackedFolders& folders);

/// The image without its seal, for read_erofs(), in `memory`: so most of a large one is on disk. Throws
/// corrupt when it ends too early.
std::string_view load_layer_image(const UniqueFd& image, SpillMemory& memory);

}  // namespace lay::layerstore
