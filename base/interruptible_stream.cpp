#include "base/interruptible_stream.h"

#include <linux/limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/cancel.h"
#include "base/error.h"
#include "base/syscalls.h"

namespace lay {

namespace {

bool may_wait(const UniqueFd& fd) {
  return !S_ISREG(sys::stat_of(fd).st_mode);
}

/// Until `fd` is ready for `events`, or its other end is gone.
void wait_for(const UniqueFd& fd, short events) {
  throw_if_cancelled();
  std::array<::pollfd, 2> watched{{{fd.get(), events, 0}, {cancel_descriptor(), POLLIN, 0}}};
  if (sys::retry_eintr([&] { return ::poll(watched.data(), watched.size(), -1); }) < 0)
    throw Error::from_errno("wait");
  throw_if_cancelled();
}

}  // namespace

InterruptibleSource::InterruptibleSource(const UniqueFd& fd) : fd_(fd), may_wait_(may_wait(fd)) {}

std::size_t InterruptibleSource::read(std::span<std::byte> out) {
  if (may_wait_) wait_for(fd_, POLLIN);
  return sys::read_some(fd_, out);
}

InterruptibleSink::InterruptibleSink(const UniqueFd& fd) : fd_(fd), may_wait_(may_wait(fd)) {}

void InterruptibleSink::write(std::span<const std::byte> bytes) {
  if (!may_wait_) return sys::write_all(fd_, bytes);
  while (!bytes.empty()) {
    wait_for(fd_, POLLOUT);
    bytes = bytes.subspan(write_some(bytes));
  }
}

/// As much as there is room for: a plain write(2) waits until all is taken. Of what cannot be asked for that
/// (fifos, terminals), PIPE_BUF bytes, for which a pipe that poll(2) calls writable has room.
std::size_t InterruptibleSink::write_some(std::span<const std::byte> bytes) {
  constexpr off_t kAtPosition = -1;
  ::iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  const ssize_t count =
      sys::retry_eintr([&] { return ::pwritev2(fd_.get(), &part, 1, kAtPosition, RWF_NOWAIT); });
  if (count >= 0) return static_cast<std::size_t>(count);
  if (errno == EAGAIN) return 0;
  if (errno != EOPNOTSUPP && errno != EINVAL && errno != ENOSYS) throw Error::from_errno("write");
  const auto piece = bytes.first(std::min<std::size_t>(bytes.size(), PIPE_BUF));
  sys::write_all(fd_, piece);
  return piece.size();
}

}  // namespace lay
