#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/file_lock.h"
#include "base/unique_fd.h"

namespace lay::layerstore {

/// ingest/<random>/: a folder for half-made things, under a lock that is held as long as its maker lives.
/// Destruction removes it with everything in it.
class Ingest {
 public:
  /// `root` is the store's folder and must outlive it.
  static Ingest begin(const UniqueFd& root);
  /// As begin(), of the folder that is kept for `name`: what is in it comes from an earlier call that ended
  /// in keep() or was killed. Empty when somebody else is at it.
  static std::optional<Ingest> resume(const UniqueFd& root, const std::string& name);
  /// What resume() would take up, to be looked at alone.
  static std::optional<UniqueFd> find_kept(const UniqueFd& root, const std::string& name);
  Ingest(Ingest&&) noexcept = default;
  Ingest& operator=(Ingest&&) = delete;
  ~Ingest();

  const UniqueFd& dir() const { return lock_->fd(); }
  /// Another process, forked with this object, removes it: here only the hold on it ends.
  void leave() { lock_.reset(); }

  /// It stays for a later resume(): here only the hold on it ends.
  void keep() { lock_.reset(); }

  /// Removes what dead processes left behind, recognised by its lock being free; what is kept for a resume()
  /// only when it was not touched for `kept_for`.
  static void sweep(const UniqueFd& root, std::chrono::seconds kept_for = kKeptFor);
  /// The folders in ingest/ that nobody works in, those that are kept for a resume() included.
  static std::vector<std::string> list_abandoned(const UniqueFd& root);
  static constexpr std::chrono::seconds kKeptFor = std::chrono::hours{24 * 7};

 private:
  Ingest(const UniqueFd& root, std::string name, FileLock lock);
  const UniqueFd* root_;
  std::string name_;
  std::optional<FileLock> lock_;
};

}  // namespace lay::layerstore
