#pragma once

#include <cstdint>

#include "base/unique_fd.h"

namespace lay {

/// Has the kernel begin to write a growing file to its disk while it grows, so that the fsync(2) at its end
/// finds little left to do. Promises nothing by itself: failures show in that fsync.
class EarlyWriteback {
 public:
  /// `file`, the same one at each call, has grown to `size` bytes.
  void grown_to(const UniqueFd& file, std::uint64_t size);

 private:
  std::uint64_t begun_ = 0;
};

}  // namespace lay
