#pragma once

#include <stop_token>

#include "base/progress.h"
#include "client/client.h"
#include "layerstore/store.h"

namespace lay::registry {

/// Where a copy takes documents and blobs from. May be used from any thread.
class RelaySource {
 public:
  virtual ~RelaySource() = default;
  /// Verified; throws not_found.
  virtual Document get_document(const layerstore::Descriptor& document) const = 0;
  virtual bool has_blob(const layerstore::Digest& digest, const std::stop_token& stop) const = 0;
  /// Brings a blob into the store.
  virtual void fetch(const layerstore::Descriptor& blob, const std::stop_token& stop) const = 0;
  /// The repository, when it is one of the registry `domain`; else empty.
  virtual std::string repository_at(const std::string& domain) const = 0;
};

class RegistrySource final : public RelaySource {
 public:
  /// Both must outlive it; the caller holds Store::share().
  RegistrySource(const RegistryClient& client, const layerstore::Store& store)
      : client_(client), store_(store) {}

  Document get_document(const layerstore::Descriptor& document) const override;
  bool has_blob(const layerstore::Digest& digest, const std::stop_token& stop) const override;
  void fetch(const layerstore::Descriptor& blob, const std::stop_token& stop) const override;
  std::string repository_at(const std::string& domain) const override;

  /// As fetch(); `task` is told what has come.
  void fetch(const layerstore::Descriptor& blob, Progress::Task& task, const std::stop_token& stop) const;

 private:
  const RegistryClient& client_;
  const layerstore::Store& store_;
};

/// All is in the store already.
class StoreSource final : public RelaySource {
 public:
  explicit StoreSource(const layerstore::Store& store) : store_(store) {}

  Document get_document(const layerstore::Descriptor& document) const override;
  bool has_blob(const layerstore::Digest& digest, const std::stop_token& stop) const override;
  void fetch(const layerstore::Descriptor&, const std::stop_token&) const override {}
  std::string repository_at(const std::string&) const override { return {}; }

 private:
  const layerstore::Store& store_;
};

}  // namespace lay::registry
