#pragma once

#include <span>
#include <string>
#include <vector>

#include "layerstore/lower_link.h"
#include "overlay/lower_stack.h"

namespace lay::layerstore {

/// The symlinks that lead to the folders `implied`, which a layer's tar has no entries for, in what lies
/// below the layer: all that are passed on the way, in the order of their paths. A way that ends at something
/// else than a folder, or goes in circles, is none.
///   own      the layer itself: what it hides of the others leads nowhere
///   lowers   those below it, topmost first
///   throws   unsupported when there are more than anybody needs, or finding them takes too long
std::vector<LowerLink> find_lower_links(LowerFolder& own, std::span<LowerFolder> lowers,
                                        const std::vector<std::string>& implied);

}  // namespace lay::layerstore
