#include "base/early_writeback.h"

#include <fcntl.h>
#include <unistd.h>

#include <system_error>

#include "base/mount.h"
#include "base/syscalls.h"

namespace lay {

namespace {

/// Enough to be worth a journal commit, little enough to leave no wait at the end. On a slow disk more has
/// come together by the time one sync is over.
constexpr std::uint64_t kStep = 16 * 1024 * 1024;

}  // namespace

EarlyWriteback::EarlyWriteback(const UniqueFd& file)
    : file_(sys::open_at(sys::cwd(), fd_path(file), O_RDONLY)), next_(kStep) {}

EarlyWriteback::~EarlyWriteback() {
  if (!thread_.joinable()) return;
  {
    const std::scoped_lock lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void EarlyWriteback::grown_to(std::uint64_t size) {
  if (size < next_) return;
  next_ = size + kStep;
  try {
    if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
  } catch (const std::system_error&) {
    return;  // the fsync at the end does it all
  }
  {
    const std::scoped_lock lock(mutex_);
    is_due_ = true;
  }
  changed_.notify_one();
}

void EarlyWriteback::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return is_due_ || is_ending_; });
    if (is_ending_) return;
    is_due_ = false;
    lock.unlock();
    ::fdatasync(file_.get());
    lock.lock();
  }
}

}  // namespace lay
