#include "base/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>

#include "base/await_lock.h"
#include "base/cancel.h"
#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"

namespace lay {

namespace {

int operation(LockMode mode) {
  return mode == LockMode::shared ? LOCK_SH : LOCK_EX;
}

/// Where nothing can be written, nobody has to be kept out: a lock of the process's own will do.
UniqueFd open_lock(const UniqueFd& dir, const std::string& name) {
  try {
    return sys::open_at(dir, name, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
  } catch (const Error& error) {
    if (error.error_number() != EROFS) throw;
  }
  if (auto file = sys::try_open_at(dir, name, O_RDONLY | O_NOFOLLOW)) return std::move(*file);
  const int memory = ::memfd_create("lock", MFD_CLOEXEC);
  if (memory < 0) throw Error::from_errno("make a lock");
  return UniqueFd{memory};
}

constexpr std::chrono::seconds kPatience{5};
constexpr std::chrono::microseconds kLongestPause{10'000};

std::atomic<void (*)(const std::string&, int)> notice_of_waiting{nullptr};

/// Who holds a lock on the file, by /proc/locks (proc(5)); 0 when nobody is seen.
int holder_of(const UniqueFd& file) {
  const struct ::stat status = sys::stat_of(file);
  const std::string wanted = fmt::format("{:02x}:{:02x}:{}", gnu_dev_major(status.st_dev),
                                         gnu_dev_minor(status.st_dev), status.st_ino);
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    std::istringstream fields(line);
    std::string number;
    std::string kind;
    std::string advisory;
    std::string mode;
    int process = 0;
    std::string inode;
    fields >> number >> kind >> advisory >> mode >> process >> inode;
    if (kind == "FLOCK" && inode == wanted) return process;
  }
  return 0;
}

/// Without /proc nobody is told; the lock is waited for all the same.
void tell_waiting(const UniqueFd& file) noexcept {
  auto* const notice = notice_of_waiting.load();
  if (notice == nullptr) return;
  try {
    notice(sys::readlink_at(sys::cwd(), fmt::format("/proc/self/fd/{}", file.get())), holder_of(file));
  } catch (const std::exception&) {
    return;
  }
}

/// Looks again and again: a call that waits would not see the user's wish to stop in every thread.
void wait_for_lock(const UniqueFd& file, LockMode mode) {
  const auto begin = std::chrono::steady_clock::now();
  bool is_told = false;
  for (std::chrono::microseconds pause{200}; ::flock(file.get(), operation(mode) | LOCK_NB) < 0;
       pause = std::min(2 * pause, kLongestPause)) {
    if (errno != EWOULDBLOCK && errno != EINTR) throw Error::from_errno("lock");
    std::this_thread::sleep_for(pause);
    throw_if_cancelled();
    if (is_told || std::chrono::steady_clock::now() - begin < kPatience) continue;
    is_told = true;
    tell_waiting(file);
  }
}

}  // namespace

void await_lock(const UniqueFd& file, LockMode mode) {
  if (sys::retry_eintr([&] { return ::flock(file.get(), operation(mode)); }) < 0)
    throw Error::from_errno("lock");
}

void notice_waiting(void (*notice)(const std::string& name, int holder)) {
  notice_of_waiting = notice;
}

FileLock FileLock::acquire(const UniqueFd& dir, const std::string& name, LockMode mode) {
  return with_context(name, [&] { return lock(open_lock(dir, name), mode); });
}

std::optional<FileLock> FileLock::try_acquire(const UniqueFd& dir, const std::string& name, LockMode mode) {
  return try_lock(open_lock(dir, name), mode);
}

FileLock FileLock::lock(UniqueFd fd, LockMode mode) {
  if (sys::retry_eintr([&] { return ::flock(fd.get(), operation(mode) | LOCK_NB); }) < 0) {
    if (errno != EWOULDBLOCK) throw Error::from_errno("lock");
    wait_for_lock(fd, mode);
  }
  return FileLock(std::move(fd));
}

std::optional<FileLock> FileLock::try_lock(UniqueFd fd, LockMode mode) {
  if (sys::retry_eintr([&] { return ::flock(fd.get(), operation(mode) | LOCK_NB); }) == 0)
    return FileLock(std::move(fd));
  if (errno == EWOULDBLOCK) return std::nullopt;
  throw Error::from_errno("lock");
}

}  // namespace lay
