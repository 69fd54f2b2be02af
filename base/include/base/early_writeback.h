#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "base/unique_fd.h"

namespace lay {

/// Has a growing file written to its disk while it grows, and the disk's cache flushed, so that the fsync(2)
/// at its end finds little left to do. Promises nothing by itself: that fsync tells of every failure.
class EarlyWriteback {
 public:
  /// Opens `file` anew: what goes wrong here is told to this descriptor and, once more, to the caller's.
  explicit EarlyWriteback(const UniqueFd& file);
  /// Waits for what has begun.
  ~EarlyWriteback();
  EarlyWriteback(const EarlyWriteback&) = delete;
  EarlyWriteback& operator=(const EarlyWriteback&) = delete;

  /// The file has grown to `size` bytes.
  void grown_to(std::uint64_t size);

 private:
  void work();

  const UniqueFd file_;
  std::uint64_t next_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_due_ = false;
  bool is_ending_ = false;
  std::thread thread_;  ///< there is none for small files
};

}  // namespace lay
