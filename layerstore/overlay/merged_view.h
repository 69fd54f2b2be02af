#pragma once

#include <optional>
#include <string>

#include "base/unique_fd.h"
#include "layerstore/diff.h"

namespace lay::layerstore {

/// What overlay shows of an upper and its lowers, for the parts of an upper that only point into the lowers:
/// a read-only overlay mount that is attached nowhere and ends with this. The kernel follows redirects and
/// metacopies as it did for whoever worked in the upper, and never leaves the lowers.
class MergedView {
 public:
  /// Throws unsupported, with a hint, when there are no lowers or this kernel cannot mount them so.
  MergedView(const UniqueFd& upper, const OpenLowers& lowers);

  /// Opens `path` beneath the root of the view ("" for the root itself), never through a symlink.
  UniqueFd open(const std::string& path, int flags) const;

 private:
  UniqueFd root_;
};

}  // namespace lay::layerstore
