#include "process/unix_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "base/syscalls.h"

namespace lay::runner {

namespace {

constexpr timeval kPatience{.tv_sec = 10, .tv_usec = 0};

}  // namespace

UniqueFd connect_unix_socket(const std::string& path) {
  const std::filesystem::path whole = std::filesystem::absolute(path);
  const UniqueFd folder = sys::open_at(sys::cwd(), whole.parent_path().string(), O_PATH | O_DIRECTORY);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string short_path = fmt::format("/proc/self/fd/{}/{}", folder.get(), whole.filename().string());
  if (short_path.size() >= sizeof address.sun_path) throw Error(Errc::invalid, "its name is too long");
  std::memcpy(address.sun_path, short_path.data(), short_path.size());
  UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  // connect(2), too, waits that long for one who accepts too slowly
  if (!socket || ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience) < 0 ||
      ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
    throw Error::from_errno("connect");
  return socket;
}

}  // namespace lay::runner
