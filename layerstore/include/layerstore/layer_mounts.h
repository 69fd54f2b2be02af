#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/file_lock.h"
#include "layerstore/digest.h"
#include "layerstore/store.h"

namespace lay::layerstore {

/// The lowers of one overlay, good as long as this lives.
struct Lowers {
  std::vector<std::string> paths;  ///< absolute, topmost first
  std::vector<FileLock> held;      ///< shared locks on what is mounted
};

/// RUN/layers: the layers that are mounted on this machine, each once, shared by all containers of a root.
///   <diff_id hex>-<device>-<inode>/
///                         mount point of a layer in the erofs form, from that file
///   <key>.parents/        folders for one stack of layers, see below
///   <key>.plan            what is to be done about one stack of layers (stack_plan.h)
///   <name>.lock           held shared by whoever uses <name>
///   lock                  held by whoever mounts or unmounts
/// It is a private mount itself, so that nothing mounted in it spreads to other mount namespaces. After a
/// reboot all is gone and made again; what a killed process left is unmounted by the next release.
class LayerMounts {
 public:
  /// `run` is absolute.
  explicit LayerMounts(std::string run) : run_(std::move(run)) {}

  /// Mounts what is not mounted yet. `diff_ids` are those of an image, lowest first, and `blobs` what they
  /// were made from; all must be in the store. Entries whose folders a layer's tar only implies go through
  /// symlinks of the layers below, as when the layers are unpacked one after the other. Folders that a
  /// layer's tar only implies would show attributes that nobody gave them in place of those of the layers
  /// below: where that is so, one more lower comes on top that has the right ones. Layers below one whose
  /// root is opaque are left out, which the kernel would not do.
  Lowers acquire(const Store& store, std::span<const Digest> diff_ids,
                 std::span<const Descriptor> blobs) const;

  /// Gives `lowers` back, and has unmounted what nobody uses in a moment (base/linger.h). By a process with
  /// one thread.
  void release(Lowers lowers) const;

  /// Has unmounted in a moment what nobody uses any more: of a container whose supervisor was killed. By a
  /// process with one thread.
  void tidy() const;

 private:
  std::string run_;
};

}  // namespace lay::layerstore
