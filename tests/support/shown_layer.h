#pragma once

#include <catch2/catch.hpp>
#include <span>
#include <string>

#include "layerstore/layer_mounts.h"
#include "layerstore/store.h"
#include "poll_until.h"
#include "shell.h"
#include "temp_folder.h"

namespace lay::test {

/// Layers of a store as folders that can be looked at, in whichever form they lie there; the topmost first.
/// They are mounted under a RUN of their own and unmounted at the end.
class ShownLayers {
 public:
  ShownLayers(const layerstore::Store& store, std::span<const layerstore::Digest> diff_ids)
      : mounts_(run_.path() + "/run"), lowers_(mounts_.acquire(store, diff_ids, {})) {}
  ShownLayers(const ShownLayers&) = delete;
  ShownLayers& operator=(const ShownLayers&) = delete;
  ~ShownLayers() {
    mounts_.release(std::move(lowers_));
    // A tree with mounts in it is not removed
    poll_until([&] { return shell("grep -q " + run_.path() + " /proc/self/mounts").status != 0; });
  }

  const std::vector<std::string>& paths() const { return lowers_.paths; }
  /// As overlay's option "lowerdir" takes them.
  std::string joined() const {
    std::string text;
    for (const std::string& path : paths()) text += (text.empty() ? "" : ":") + path;
    return text;
  }

 private:
  TempFolder run_;
  layerstore::LayerMounts mounts_;
  layerstore::Lowers lowers_;
};

/// One layer.
class ShownLayer {
 public:
  ShownLayer(const layerstore::Store& store, const layerstore::Digest& diff_id)
      : shown_(store, std::span(&diff_id, 1)) {}
  const std::string& path() const { return shown_.paths().front(); }

 private:
  ShownLayers shown_;
};

}  // namespace lay::test
