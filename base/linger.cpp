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

constexpr std::chrono::milliseconds kLinger{2000};

bool is_same_time(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/// One look. True when there is nothing more to wait for: it is removed, or needed, and then the next release
/// starts another process. `linger` is unlocked before the common lock, so that no release is missed.
bool look_once(const Tidying& tidying, const FileLock& linger, const timespec& last_release) {
  bool is_done = false;
  tidying.locked([&] {
    const bool is_due = tidying.is_due();
    if (is_due && !is_same_time(last_release, sys::stat_of(linger.fd()).st_mtim)) return;
    if (is_due) tidying.remove();
    ::flock(linger.fd().get(), LOCK_UN);
    is_done = true;
  });
  return is_done;
}

/// A failure must not keep the rest from being removed in its time.
void work_at_once(const Tidying& tidying) {
  try {
    if (tidying.at_once) tidying.at_once();
  } catch (const std::exception&) {
    // The next one finds what is left
  }
}

void linger(const std::string& folder, const std::string& name, const std::function<Tidying()>& prepare) {
  const UniqueFd dir = sys::open_dir(sys::cwd(), folder);
  const Tidying tidying = prepare();
  work_at_once(tidying);
  const auto lock = FileLock::try_acquire(dir, name, LockMode::exclusive);
  if (!lock) return;  // another was quicker
  for (bool is_done = false; !is_done;) {
    const timespec last_release = sys::stat_of(lock->fd()).st_mtim;
    std::this_thread::sleep_for(kLinger);
    if (sys::try_open_at(sys::cwd(), folder, O_PATH)) {
      is_done = look_once(tidying, *lock, last_release);
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

void tidy_later(const std::string& folder, const std::string& name, const std::function<Tidying()>& prepare,
                Urgency urgency) {
  {
    const UniqueFd dir = sys::open_dir(sys::cwd(), folder);
    const UniqueFd file = sys::open_at(dir, name, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
    if (::futimens(file.get(), nullptr) < 0) throw Error::from_errno("note the time of '{}'", name);
    // Somebody lingers already, and sees the new time
    if (!FileLock::try_acquire(dir, name, LockMode::exclusive) && urgency == Urgency::later) return;
  }
  if (detach(Descriptors::none)) run_lingering_process(folder, name, prepare);
}

}  // namespace lay
