#include "plan/container_layers.h"

#include <exception>
#include <utility>

#include "base/error.h"
#include "base/overlay_limit.h"
#include "layerstore/commit.h"

namespace lay::cli {

ContainerLayers::ContainerLayers(const Context& context, const layerstore::Store& store,
                                 const layerstore::Image& image)
    : mounts_(context.run) {
  const std::vector<layerstore::Digest>& diff_ids = image.config.diff_ids;
  if (diff_ids.size() > kMostLowers)
    throw Error::make(Errc::unsupported, "the image has {} layers, and {} is the most that can be mounted",
                      diff_ids.size(), kMostLowers)
        .with_hint("make it one layer: pull it elsewhere, export it from there, and import that");
  for (std::size_t i = 0; i < diff_ids.size(); ++i)
    layerstore::ensure_layer(store, image.manifest.layers[i], diff_ids[i]);
  lowers_ = mounts_.acquire(store, diff_ids, image.manifest.layers);
}

void ContainerLayers::release() noexcept {
  try {
    mounts_.release(std::exchange(lowers_, {}));
  } catch (const std::exception&) {
    // They stay mounted until the next release
  }
}

layerstore::Image image_of(const runner::Container& container, const layerstore::Store& store) {
  const auto manifest = layerstore::Digest::parse(container.config().notes.at(note::kManifest));
  const std::uint64_t size = store.blobs().size(manifest).value_or(0);
  return store.load({.media_type = std::string(), .digest = manifest, .size = size});
}

}  // namespace lay::cli
