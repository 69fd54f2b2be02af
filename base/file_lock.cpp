#include "base/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>

#include "base/error.h"
#include "base/syscalls.h"

namespace lay {

namespace {

int operation(LockMode mode) {
  return mode == LockMode::shared ? LOCK_SH : LOCK_EX;
}

UniqueFd open_lock(const UniqueFd& dir, const std::string& name) {
  return sys::open_at(dir, name, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
}

}  // namespace

FileLock FileLock::acquire(const UniqueFd& dir, const std::string& name, LockMode mode) {
  return with_context(name, [&] { return lock(open_lock(dir, name), mode); });
}

std::optional<FileLock> FileLock::try_acquire(const UniqueFd& dir, const std::string& name, LockMode mode) {
  return try_lock(open_lock(dir, name), mode);
}

FileLock FileLock::lock(UniqueFd fd, LockMode mode) {
  if (sys::retry_eintr([&] { return ::flock(fd.get(), operation(mode)); }) < 0)
    throw Error::from_errno("lock");
  return FileLock(std::move(fd));
}

std::optional<FileLock> FileLock::try_lock(UniqueFd fd, LockMode mode) {
  if (sys::retry_eintr([&] { return ::flock(fd.get(), operation(mode) | LOCK_NB); }) == 0)
    return FileLock(std::move(fd));
  if (errno == EWOULDBLOCK) return std::nullopt;
  throw Error::from_errno("lock");
}

}  // namespace lay
