#pragma once

#include <functional>
#include <map>
#include <string>

#include "layerstore/digest.h"

namespace lay::registry::server {

/// ROOT/registry/hidden/<SHA-256 of the name>: local names (team/app:tag) that are not served, since a client
/// has deleted the tag that was pushed over them, and where each led then. Durable. Not for several threads
/// at once.
class HiddenNames {
 public:
  /// `root` is the store's folder; nothing is made there before a name is hidden.
  explicit HiddenNames(const std::string& root);

  bool has(const std::string& repository, const std::string& tag, const layerstore::Digest& digest) const;
  void add(const std::string& repository, const std::string& tag, const layerstore::Digest& digest);
  /// False when it was not hidden.
  bool remove(const std::string& repository, const std::string& tag);
  /// Forgets those that do not hold any more.
  void remove_if(
      const std::function<bool(const std::string& name, const layerstore::Digest& digest)>& is_over);

 private:
  void forget(const std::string& name);

  std::string root_;
  std::map<std::string, layerstore::Digest> digests_;  ///< by name
};

}  // namespace lay::registry::server
