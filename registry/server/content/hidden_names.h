#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "base/unique_fd.h"
#include "layerstore/digest.h"

namespace lay::registry::server {

/// ROOT/registry/hidden/<team+app:tag>: local names that are not served, since a client has deleted the tag
/// that was pushed over them. Each holds as long as the name leads where it led then. Durable. Not for
/// several threads at once.
class HiddenNames {
 public:
  /// `root` is the store's folder; nothing is made there before a name is hidden.
  explicit HiddenNames(const std::string& root);

  bool has(const std::string& repository, const std::string& tag, const layerstore::Digest& digest) const;
  void add(const std::string& repository, const std::string& tag, const layerstore::Digest& digest);
  /// False when it was not hidden.
  bool remove(const std::string& repository, const std::string& tag);
  /// Forgets those that do not hold any more: `find` tells where a name leads.
  void keep_valid(const std::function<std::optional<layerstore::Digest>(const std::string& name)>& find);

 private:
  void forget(const std::string& file);

  std::string folder_;
  std::map<std::string, layerstore::Digest> digests_;  ///< by file name
};

}  // namespace lay::registry::server
