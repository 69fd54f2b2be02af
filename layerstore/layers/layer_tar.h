#pragma once

#include <cstdint>
#include <functional>

#include "base/stream.h"
#include "base/unique_fd.h"
#include "layerstore/store.h"

namespace lay::layerstore {

/// The exact tar of a layer, from where it can be had with the least work.
class LayerTar {
 public:
  /// All three are kept by reference.
  LayerTar(const Store& store, const Descriptor& blob, const Digest& diff_id);

  /// A header needs it before the data, so a layer that is only there compressed is inflated twice.
  std::uint64_t size() const;
  /// Throws corrupt after the last byte when they are not those of the diff_id.
  void read(const std::function<void(ByteSource& tar)>& consume) const;

 private:
  const Store& store_;
  const Descriptor& blob_;
  const Digest& diff_id_;
  UniqueFd tar_;  ///< of the mounted form
};

}  // namespace lay::layerstore
