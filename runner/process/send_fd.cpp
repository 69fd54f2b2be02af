#include "process/send_fd.h"

#include <cstring>

#include "base/error.h"
#include "base/syscalls.h"

namespace lay::runner {

void send_fd(const UniqueFd& socket, std::string_view text, const UniqueFd& fd) {
  iovec part{.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};  // it is only read
  FdControl control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int number = fd.get();
  std::memcpy(CMSG_DATA(header), &number, sizeof number);
  if (sys::retry_eintr([&] { return ::sendmsg(socket.get(), &message, MSG_NOSIGNAL); }) < 0)
    throw Error::from_errno("hand over a descriptor");
}

}  // namespace lay::runner
