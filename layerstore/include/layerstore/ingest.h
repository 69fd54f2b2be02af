#pragma once

#include <optional>
#include <string>

#include "base/file_lock.h"
#include "base/unique_fd.h"

namespace lay::layerstore {

/// ingest/<random>/: a folder for half-made things, under a lock that is held as long as its maker lives.
/// Destruction removes it with everything in it.
class Ingest {
 public:
  /// `root` is the store's folder and must outlive it.
  static Ingest begin(const UniqueFd& root);
  Ingest(Ingest&&) noexcept = default;
  Ingest& operator=(Ingest&&) = delete;
  ~Ingest();

  const UniqueFd& dir() const { return lock_->fd(); }
  /// Another process, forked with this object, removes it: here only the hold on it ends.
  void leave() { lock_.reset(); }

  /// Removes what dead processes left behind, recognised by its lock being free.
  static void sweep(const UniqueFd& root);

 private:
  Ingest(const UniqueFd& root, std::string name, FileLock lock);
  const UniqueFd* root_;
  std::string name_;
  std::optional<FileLock> lock_;
};

}  // namespace lay::layerstore
