#include "bridge_linger.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <chrono>
#include <exception>
#include <thread>

#include "base/error.h"
#include "base/file_lock.h"
#include "base/syscalls.h"
#include "bridge.h"
#include "detach.h"

namespace lay::runner {

namespace {

/// RUN/bridge.linger: locked by the process that lingers; its time of change is that of the last release.
constexpr const char* kLingerName = "bridge.linger";
constexpr std::chrono::milliseconds kLinger{300};

bool is_same_time(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

void note_release(const UniqueFd& file) {
  if (::futimens(file.get(), nullptr) < 0) throw Error::from_errno("note the end of the last container");
}

/// One look at the leases, under the network lock. True when there is nothing more to wait for: the bridge is
/// gone, or in use, and then the next release starts another process. `linger` is unlocked before the network
/// lock, so that no release is missed.
bool look_once(const NetworkNames& names, const LeaseBook& leases, const FileLock& linger,
               const timespec& last_release) {
  const NetworkLock lock = leases.lock();
  const bool is_in_use = leases.any_held();
  if (!is_in_use && !is_same_time(last_release, sys::stat_of(linger.fd()).st_mtim)) return false;
  if (!is_in_use) remove_unused_bridge(names, leases);
  ::flock(linger.fd().get(), LOCK_UN);
  return true;
}

void linger(const std::string& run, const NetworkNames& names) {
  const LeaseBook leases = LeaseBook::open(run);
  const auto lock = FileLock::try_acquire(sys::open_dir(sys::cwd(), run), kLingerName, LockMode::exclusive);
  if (!lock) return;  // another was quicker
  for (bool is_done = false; !is_done;) {
    const timespec last_release = sys::stat_of(lock->fd()).st_mtim;
    std::this_thread::sleep_for(kLinger);
    if (sys::try_open_at(sys::cwd(), run, O_PATH)) {
      is_done = look_once(names, leases, *lock, last_release);
    } else {  // somebody removed RUN, and its locks with it
      remove_unused_bridge(names, leases);
      is_done = true;
    }
  }
}

[[noreturn]] void run_lingering_process(const std::string& run, const NetworkNames& names) {
  try {
    linger(run, names);
  } catch (const std::exception&) {
    // The next container or sweep finds the bridge
  }
  ::_exit(0);
}

}  // namespace

void remove_bridge_later(const std::string& run, const NetworkNames& names) {
  {
    const UniqueFd folder = sys::open_dir(sys::cwd(), run);
    note_release(sys::open_at(folder, kLingerName, O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
    // Somebody lingers already, and sees the new time
    if (!FileLock::try_acquire(folder, kLingerName, LockMode::exclusive)) return;
  }
  if (detach(Descriptors::none)) run_lingering_process(run, names);
}

}  // namespace lay::runner
