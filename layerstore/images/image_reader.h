#pragma once

#include <functional>
#include <string>

#include "layerstore/store.h"

namespace lay::layerstore {

/// Gives the bytes of a document, checked against its digest. Throws not_found or corrupt.
using ReadDocument = std::function<std::string(const Descriptor& descriptor)>;

/// The image that `root` leads to: a manifest, or an index of which the entry for `wanted` is taken. Throws
/// invalid for documents that contradict their descriptor or each other, unsupported for what is no container
/// image, or for another platform where the index does not tell.
Image read_image(const ReadDocument& read, const Descriptor& root, const Platform& wanted = host_platform());

}  // namespace lay::layerstore
