#include "process/fd_message.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/syscalls.h"

namespace lay::runner {

namespace {

/// A message with room for `fds` descriptors.
class Envelope {
 public:
  Envelope(void* data, std::size_t size, std::size_t fds) : part_{.iov_base = data, .iov_len = size} {
    message_.msg_iov = &part_;
    message_.msg_iovlen = 1;
    message_.msg_control = control_.data();
    message_.msg_controllen = fds == 0 ? 0 : CMSG_SPACE(fds * sizeof(int));
  }
  Envelope(const Envelope&) = delete;
  Envelope& operator=(const Envelope&) = delete;

  msghdr* message() { return &message_; }
  cmsghdr* header() { return CMSG_FIRSTHDR(&message_); }

 private:
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxMessageFds * sizeof(int))> control_{};
  iovec part_;
  msghdr message_{};
};

}  // namespace

void send_fds(const UniqueFd& socket, std::string_view text, std::span<const UniqueFd> fds) {
  if (fds.size() > kMaxMessageFds)
    throw Error::make(Errc::unsupported, "{} descriptors do not fit into one message", fds.size());
  Envelope envelope(const_cast<char*>(text.data()), text.size(), fds.size());  // it is only read
  if (cmsghdr* header = envelope.header(); header != nullptr) {
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    auto* place = CMSG_DATA(header);
    for (const UniqueFd& fd : fds) {
      const int number = fd.get();
      std::memcpy(place, &number, sizeof number);
      place += sizeof number;
    }
  }
  if (sys::retry_eintr([&] { return ::sendmsg(socket.get(), envelope.message(), MSG_NOSIGNAL); }) < 0)
    throw Error::from_errno("hand over descriptors");
}

void send_fd(const UniqueFd& socket, std::string_view text, const UniqueFd& fd) {
  send_fds(socket, text, std::span(&fd, 1));
}

Message receive_message(const UniqueFd& socket, std::size_t most) {
  Message result;
  result.text.resize(most);
  Envelope envelope(result.text.data(), result.text.size(), kMaxMessageFds);
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
    const std::size_t fds = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < fds; ++i) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(header) + i * sizeof number, sizeof number);
      result.fds.emplace_back(number);
    }
  }
  return result;
}

}  // namespace lay::runner
