#include "base/early_writeback.h"

#include <fcntl.h>

namespace lay {

namespace {

/// Large enough for large writes, small enough for a disk that is never idle.
constexpr std::uint64_t kStep = 8 * 1024 * 1024;

}  // namespace

void EarlyWriteback::grown_to(const UniqueFd& file, std::uint64_t size) {
  const std::uint64_t end = size / kStep * kStep;
  if (end <= begun_) return;
  ::sync_file_range(file.get(), static_cast<off64_t>(begun_), static_cast<off64_t>(end - begun_),
                    SYNC_FILE_RANGE_WRITE);
  begun_ = end;
}

}  // namespace lay
