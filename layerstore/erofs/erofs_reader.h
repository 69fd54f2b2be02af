#pragma once

#include <cstdint>
#include <string_view>

#include "erofs/layer_tree.h"

namespace lay::layerstore {

/// Reads back what write_erofs() wrote, and judges every field: the second reader beside the kernel's. Of the
/// whole format it knows what the writer uses.
///   image      all of it
///   tar_size   of the device; no file may lie beyond it
///   spill      of the tree
///   holder     has the image, if that lies in such memory
///   returns    the tree, in the order of the walk; which folders are implied is not in the image
///   throws     corrupt, naming what is wrong
LayerTree read_erofs(std::string_view image, std::uint64_t tar_size, const Spill& spill = {},
                     SpillMemory* holder = nullptr);

}  // namespace lay::layerstore
