#include "base/linger.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <chrono>
#include <exception>
#include <thread>

#include "base/detach.h"
#include "base/error.h"
#include "base/file_lock.h"
#include "base/syscalls.h"

namespace lay {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLinger{2000};
constexpr std::chrono::milliseconds kSoon{100};
constexpr std::chrono::milliseconds kSoonAtLatest{1000};
constexpr std::chrono::milliseconds kStep{20};

/// The calls of tidy_later(), told by the lock file's time of change.
class Calls {
 public:
  explicit Calls(const UniqueFd& file) : file_(file), time_(sys::stat_of(file).st_mtim) {}

  /// Whether there was one since this was asked last.
  bool is_new() {
    const timespec now = sys::stat_of(file_).st_mtim;
    const bool is_same = now.tv_sec == time_.tv_sec && now.tv_nsec == time_.tv_nsec;
    time_ = now;
    return !is_same;
  }
  /// Waits for one; false when none came.
  bool wait(std::chrono::milliseconds limit) {
    for (const auto end = Clock::now() + limit; Clock::now() < end;) {
      std::this_thread::sleep_for(kStep);
      if (is_new()) return true;
    }
    return false;
  }

 private:
  const UniqueFd& file_;
  timespec time_;
};

void work_soon(const Tidying& tidying, Calls& calls) {
  if (!tidying.soon) return;
  const auto latest = Clock::now() + kSoonAtLatest;
  while (calls.wait(kSoon) && Clock::now() < latest) {
  }
  tidying.soon();
}

bool is_there(const std::string& folder) {
  return sys::try_open_at(sys::cwd(), folder, O_PATH).has_value();
}

/// Until nobody has called for kLinger. A failure ends this process, so that the next call starts another.
void wait_until_quiet(const Tidying& tidying, Calls& calls, const std::string& folder) {
  try {
    do work_soon(tidying, calls);
    while (calls.wait(kLinger));
  } catch (const std::exception&) {
    if (is_there(folder)) throw;
  }
}

/// Whoever only looks whether somebody lingers has the lock for a moment.
std::optional<FileLock> take_lock(const UniqueFd& dir, const std::string& name) {
  for (int attempt = 0; attempt < 5; ++attempt) {
    if (auto lock = FileLock::try_acquire(dir, name, LockMode::exclusive)) return lock;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return std::nullopt;
}

/// One look. True when there is nothing more to wait for: it is removed, or needed, and then the next release
/// starts another process. `linger` is unlocked before the common lock, so that no release is missed.
bool look_once(const Tidying& tidying, const FileLock& linger, Calls& calls) {
  bool is_done = false;
  tidying.locked([&] {
    const bool is_due = tidying.is_due();
    if (is_due && calls.is_new()) return;
    if (is_due) tidying.remove();
    ::flock(linger.fd().get(), LOCK_UN);
    is_done = true;
  });
  return is_done;
}

void linger(const std::string& folder, const std::string& name, const std::function<Tidying()>& prepare) {
  const UniqueFd dir = sys::open_dir(sys::cwd(), folder);
  const Tidying tidying = prepare();  // first: whoever sees the lock may remove the folder
  const auto lock = take_lock(dir, name);
  if (!lock) return;  // another was quicker
  Calls calls(lock->fd());
  for (bool is_done = false; !is_done;) {
    wait_until_quiet(tidying, calls, folder);
    if (is_there(folder)) {
      is_done = look_once(tidying, *lock, calls);
    } else {  // somebody removed the folder, and its locks with it
      tidying.remove();
      is_done = true;
    }
  }
}

[[noreturn]] void run_lingering_process(const std::string& folder, const std::string& name,
                                        const std::function<Tidying()>& prepare) {
  try {
    linger(folder, name, prepare);
  } catch (const std::exception&) {
    // The next one finds what is left
  }
  ::_exit(0);
}

}  // namespace

void tidy_later(const std::string& folder, const std::string& name, const std::function<Tidying()>& prepare) {
  {
    const UniqueFd dir = sys::open_dir(sys::cwd(), folder);
    const UniqueFd file = sys::open_at(dir, name, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
    if (::futimens(file.get(), nullptr) < 0) throw Error::from_errno("note the time of '{}'", name);
    // Somebody lingers already, and sees the new time
    if (!FileLock::try_acquire(dir, name, LockMode::exclusive)) return;
  }
  if (detach(Descriptors::none)) run_lingering_process(folder, name, prepare);
}

bool is_lingering(const std::string& folder, const std::string& name) {
  const UniqueFd dir = sys::open_dir(sys::cwd(), folder);
  const auto file = sys::try_open_at(dir, name, O_RDWR | O_NOFOLLOW);
  return file && !FileLock::try_lock(sys::dup_fd(*file), LockMode::exclusive);
}

}  // namespace lay
