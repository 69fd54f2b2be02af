#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "layerstore/ingest.h"

namespace lay::layerstore {

/// Blobs and layers that are removed already, but whose space is not free yet: large files take their time.
/// Destruction frees it; what a killed process leaves is swept like everything under ingest/.
class Trash {
 public:
  /// `root` is the store's folder and must outlive it.
  explicit Trash(const UniqueFd& root);

  /// Moves `folder`/`name` here: out of sight at once and as a whole. Where the file system has no room even
  /// for that, it is deleted in its place. Nothing there is success.
  void take(const UniqueFd& folder, const std::string& name);
  /// Whether freeing the space takes longer than starting a process that does it.
  bool is_large() const;
  /// Another process, forked with this object, frees it.
  void leave() {
    if (ingest_) ingest_->leave();
  }

 private:
  std::optional<Ingest> ingest_;  ///< none where no folder could be made
  std::uint64_t taken_ = 0;
};

}  // namespace lay::layerstore
