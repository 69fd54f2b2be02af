#include "delegate/console_socket.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "base/error.h"
#include "base/syscalls.h"
#include "process/fd_message.h"

namespace lay::runner {

namespace {
constexpr std::size_t kMaxMessage = 4096;
}

ConsoleSocket::ConsoleSocket(const UniqueFd& dir, const std::string& name)
    : path_(fmt::format("/proc/{}/fd/{}/{}", ::getpid(), dir.get(), name)),
      listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path_.data(), path_.size());  // two numbers and short words
  if (!listener_ ||
      ::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 ||
      ::listen(listener_.get(), 1) < 0)
    throw Error::from_errno("make the socket for the container's terminal");
}

UniqueFd ConsoleSocket::receive() const {
  const UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!connection) throw Error::from_errno("the runtime has sent no terminal");
  Message message = receive_message(connection, kMaxMessage);
  if (message.fds.empty()) throw Error(Errc::io, "the runtime has sent no terminal");
  return std::move(message.fds.front());
}

}  // namespace lay::runner
