#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/text.h"
#include "layerstore/descriptor.h"

namespace lay::layerstore {

/// A name and the manifest it stands for.
struct NamedImage {
  std::string name;  ///< "myapp:1", "localhost:5000/team/myapp:1"
  Descriptor manifest;
};

/// index.json of the OCI layout: names are org.opencontainers.image.ref.name annotations.
/// Every change is one atomic, durable replacement under index.lock.
class ImageStore {
 public:
  explicit ImageStore(const UniqueFd& root);

  std::vector<NamedImage> list() const;
  std::optional<Descriptor> find(const std::string& name) const;
  /// The first of `names` that is there. Reads the file once, and parses only the entry that it finds: what
  /// is wrong with others is seen when none is found.
  std::optional<NamedImage> find_first(std::span<const std::string> names) const;
  /// Every entry, those that other tools wrote without a name included: where a collection starts.
  std::vector<Descriptor> roots() const;
  /// Sets or moves a name. Everything `manifest` reaches must be durable already. Throws invalid when the
  /// name ends in a digest ("x@sha256:…") that is neither the manifest's nor that of the `index` which led to
  /// it: such a name would stand for another image than it says.
  void put(const std::string& name, const Descriptor& manifest,
           const std::optional<Digest>& index = {}) const;
  /// Whatever it leads to. False when there was no such name.
  bool remove(const std::string& name) const;
  /// Removes those of `images` whose names lead to the same manifests still: others may have moved them since
  /// they were looked up. All in one replacement; returns the names that are gone by that.
  std::vector<std::string> remove_unmoved(std::span<const NamedImage> images) const;
  /// When a name was last given to the manifest here; empty when its blob is not in the store.
  std::optional<Time> named_at(const Digest& manifest) const;

 private:
  const UniqueFd& root_;
};

}  // namespace lay::layerstore
