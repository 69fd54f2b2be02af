#pragma once

#include "layerstore/store.h"

/// Whether a blob and a diff_id belong together is seen, never believed: whoever hands a blob on under an
/// image's manifest hands on what the image's config says of it as well.
namespace lay::layerstore {

/// Throws corrupt when the stored `blob` is not the layer `diff_id`, invalid when it is not compressed as it
/// says. Cheap for what was seen before. The blob is whole; the caller holds Store::share().
void require_pair(const Store& store, const Descriptor& blob, const Digest& diff_id);

/// As require_pair(), of all layers of an image whose blobs are here.
void require_pairs(const Store& store, const Image& image);

}  // namespace lay::layerstore
