#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "context.h"
#include "plan/container_layers.h"

namespace lay::cli {

/// A folder and not the name of a container or image: "./upper", "upper/", "/var/upper", ".".
bool is_folder_argument(const std::string& text);

/// A root file system: the layers of an image, and perhaps an upper on top. What lay itself makes in a
/// container (mount points, the files bound over /etc) is no part of it.
class RootView {
 public:
  /// `upper` is absolute, or empty for the image alone. The caller holds Store::share().
  RootView(const Context& context, const layerstore::Store& store, const layerstore::Image& image,
           const std::string& upper);

  /// Its folders in overlay's notation, topmost first.
  const std::vector<std::string>& folders() const { return folders_; }
  /// The kernel's merged view of them, read-only.
  UniqueFd open() const;
  /// The layers stay mounted for as long as this process's mount namespace lives, and nobody has to see to
  /// it.
  void leave_to_namespace() { layers_.leave_to_other(); }

 private:
  ContainerLayers layers_;
  std::vector<std::string> folders_;
  UniqueFd scratch_;  ///< in memory, two empty folders for the bottom, where there are fewer lowers
};

}  // namespace lay::cli
