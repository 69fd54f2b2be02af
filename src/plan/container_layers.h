#pragma once

#include <string>
#include <vector>

#include "context.h"
#include "layerstore/layer_mounts.h"

namespace lay::cli {

/// The layers of an image, mounted for a container; given back at the end of this, whichever way that comes.
class ContainerLayers {
 public:
  /// Makes ready what is not yet. The caller holds Store::share().
  ContainerLayers(const Context& context, const layerstore::Store& store, const layerstore::Image& image);
  ContainerLayers(const ContainerLayers&) = delete;
  ContainerLayers& operator=(const ContainerLayers&) = delete;
  ~ContainerLayers() { release(); }

  /// The folders to mount, topmost first.
  const std::vector<std::string>& paths() const { return lowers_.paths; }
  /// Another process has them now: they are no longer this one's to give back.
  void leave_to_other() { lowers_ = {}; }
  void release() noexcept;

 private:
  layerstore::LayerMounts mounts_;
  layerstore::Lowers lowers_;
};

/// The image that `container` was made from. Throws not_found when its manifest is gone.
layerstore::Image image_of(const runner::Container& container, const layerstore::Store& store);

}  // namespace lay::cli
