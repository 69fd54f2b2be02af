#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "layerstore/descriptor.h"

namespace lay::layerstore {

/// A blob that an image of the store names and that was left where the image came from, since its layer is
/// here already, made of another blob. That the two belong together, only the manifest says: it is seen when
/// the blob comes.
struct AbsentBlob {
  Descriptor blob;
  Digest diff_id;
  /// Where it can be had, as the registry's client names it ("HOST/REPOSITORY"); the newest last.
  std::vector<std::string> origins;

  bool operator==(const AbsentBlob&) const = default;
};

/// absent/<algorithm>.<hex>: a record for each such blob, on disk before the image has a name. It says
/// nothing where the blob itself is in the store.
class AbsentBlobs {
 public:
  /// `root` is the store's folder and must outlive it.
  explicit AbsentBlobs(const UniqueFd& root) : root_(root) {}

  /// Empty when there is no record, or none that can be read.
  std::optional<AbsentBlob> find(const Digest& blob) const;
  /// Whether an image may do without `blob`, whose layer is `diff_id`.
  bool has(const Descriptor& blob, const Digest& diff_id) const;
  /// Durable. Origins that were noted before stay, as far as there is room. False, and nothing is noted, when
  /// the blob is noted as another layer: only one of two images can be right, and the blob tells which.
  /// Several may note at once.
  [[nodiscard]] bool note(const AbsentBlob& absent) const;
  void remove(const Digest& blob) const;
  std::vector<AbsentBlob> list() const;
  /// Removes what `is_needed` denies, and what is no record. Nobody may write meanwhile.
  void keep_only(const std::function<bool(const Digest& blob)>& is_needed) const;

 private:
  const UniqueFd& root_;
};

}  // namespace lay::layerstore
