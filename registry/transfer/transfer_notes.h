#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "layerstore/digest.h"

namespace lay::registry {

/// Where an upload that was not finished goes on.
struct UploadSession {
  std::string location;      ///< the registry's URL of it; it may hold secrets
  std::uint64_t offset = 0;  ///< bytes the registry has said it holds

  bool operator==(const UploadSession&) const = default;
};

/// What lay remembers of one registry between two calls, below ROOT/transfers/: uploads that were broken off,
/// and in which repositories a blob is known to be. Memory, not truth: what is missing or unreadable is
/// unknown, what cannot be written is forgotten, and the registry is asked before anything is believed. May
/// be used from any thread and by several processes.
class TransferNotes {
 public:
  /// `root` is the store's folder; `domain` the registry's name. Uploads of any registry that nobody went on
  /// with for a week are forgotten: registries forget them sooner.
  TransferNotes(const std::string& root, std::string domain);

  std::optional<UploadSession> upload(const std::string& repository, const layerstore::Digest& blob) const;
  void keep_upload(const std::string& repository, const layerstore::Digest& blob,
                   const UploadSession& session) const;
  void forget_upload(const std::string& repository, const layerstore::Digest& blob) const;

  /// The repositories where `blob` was last seen, the newest last.
  std::vector<std::string> repositories_of(const layerstore::Digest& blob) const;
  void remember(const std::string& repository, const std::set<layerstore::Digest>& blobs) const;
  void forget_place(const std::string& repository, const layerstore::Digest& blob) const;

 private:
  std::string upload_name(const std::string& repository, const layerstore::Digest& blob) const;
  std::string places_name() const;
  std::vector<std::string> place_lines() const;

  std::optional<UniqueFd> folder_;  ///< empty where it cannot be made
  std::string domain_;
};

}  // namespace lay::registry
