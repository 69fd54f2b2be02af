#pragma once

#include <string>

#include "base/progress.h"
#include "layerstore/store.h"

/// OCI image layouts that are folders of others (image-spec image-layout.md): what skopeo calls oci:FOLDER.
namespace lay::layerstore {

/// Takes one image of a layout into the store, without a name. `name` is its
/// org.opencontainers.image.ref.name, or empty when there is only one. Nothing in the folder is trusted:
/// blobs are regular files and what their digests say. Throws invalid, not_found, corrupt; the caller holds
/// Store::share().
Image read_layout(const Store& store, const std::string& folder, const std::string& name,
                  const Platform& platform, Progress& progress);

/// Adds an image to a layout, which is made when there is none; `name` moves there when it had another image.
/// Digests stay; everything is durable when this returns. Waits while another lay writes to the same layout.
/// Throws corrupt when a stored blob is damaged.
void write_layout(const Store& store, const Image& image, const std::string& folder, const std::string& name);

}  // namespace lay::layerstore
