#include "process/fd_message.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/syscalls.h"

namespace lay::runner {

namespace {

/// A message with room for one descriptor.
class Envelope {
 public:
  Envelope(void* data, std::size_t size) : part_{.iov_base = data, .iov_len = size} {
    message_.msg_iov = &part_;
    message_.msg_iovlen = 1;
    message_.msg_control = control_.data();
    message_.msg_controllen = control_.size();
  }
  Envelope(const Envelope&) = delete;
  Envelope& operator=(const Envelope&) = delete;

  msghdr* message() { return &message_; }
  cmsghdr* header() { return CMSG_FIRSTHDR(&message_); }

 private:
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control_{};
  iovec part_;
  msghdr message_{};
};

}  // namespace

void send_fd(const UniqueFd& socket, std::string_view text, const UniqueFd& fd) {
  Envelope envelope(const_cast<char*>(text.data()), text.size());  // it is only read
  cmsghdr* header = envelope.header();
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int number = fd.get();
  std::memcpy(CMSG_DATA(header), &number, sizeof number);
  if (sys::retry_eintr([&] { return ::sendmsg(socket.get(), envelope.message(), MSG_NOSIGNAL); }) < 0)
    throw Error::from_errno("hand over a descriptor");
}

Message receive_message(const UniqueFd& socket, std::size_t most) {
  Message result;
  result.text.resize(most);
  Envelope envelope(result.text.data(), result.text.size());
  const auto read = [&] {
    return sys::retry_eintr([&] { return ::recvmsg(socket.get(), envelope.message(), MSG_CMSG_CLOEXEC); });
  };
  ssize_t count = read();
  // An end that is closed with something unread puts this, once, before what it sent
  if (count < 0 && errno == ECONNRESET) count = read();
  if (count < 0) throw Error::from_errno("receive from the other side of a socket");
  result.text.resize(static_cast<std::size_t>(count));
  const cmsghdr* header = envelope.header();
  if (header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
    int number = -1;
    std::memcpy(&number, CMSG_DATA(header), sizeof number);
    result.fd = UniqueFd{number};
  }
  return result;
}

}  // namespace lay::runner
