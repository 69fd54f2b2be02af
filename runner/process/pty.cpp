#include "process/pty.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.h"
#include "base/syscalls.h"

namespace lay::runner {

namespace {

/// Documentation/admin-guide/devices.txt: 5:2 is /dev/ptmx.
bool is_ptmx(const UniqueFd& fd) {
  struct ::statfs file_system {};
  if (::fstatfs(fd.get(), &file_system) < 0) throw Error::from_errno("examine '/dev/pts/ptmx'");
  const struct ::stat info = sys::stat_of(fd);
  return file_system.f_type == DEVPTS_SUPER_MAGIC && S_ISCHR(info.st_mode) && info.st_rdev == ::makedev(5, 2);
}

UniqueFd open_peer(const UniqueFd& master) {
  const int fd = ::ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) throw Error::from_errno("open the container's end of its terminal");
  return UniqueFd{fd};
}

}  // namespace

UniqueFd open_pty_master() {
  const UniqueFd root = sys::open_at(sys::cwd(), "/", O_PATH | O_DIRECTORY);
  const UniqueFd place = sys::open_in_root(root, "dev/pts/ptmx", O_PATH | O_NOFOLLOW);
  if (!is_ptmx(place))
    throw Error(Errc::denied, "the container's '/dev/pts/ptmx' is not a pty device of a devpts")
        .with_hint("something inside replaced it; run the command without -t");
  // Opening a device has effects of its own, so that is done only after the look; and the look is repeated.
  UniqueFd master = sys::open_in_root(root, "dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW);
  if (!is_ptmx(master))
    throw Error(Errc::denied, "the container's '/dev/pts/ptmx' changed while it was opened");
  int unlocked = 0;
  if (::ioctl(master.get(), TIOCSPTLCK, &unlocked) < 0)
    throw Error::from_errno("unlock the container's terminal");
  return master;
}

void take_terminal(const UniqueFd& master) {
  take_terminal_as_stdio(master);
  make_controlling_terminal();
}

void make_controlling_terminal() {
  if (::ioctl(STDIN_FILENO, TIOCSCTTY, 0) < 0) throw Error::from_errno("take the container's terminal");
}

void take_terminal_as_stdio(const UniqueFd& master) {
  const UniqueFd terminal = open_peer(master);
  for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::dup2(terminal.get(), number) < 0) throw Error::from_errno("make descriptor {}", number);
}

void set_window_size(const UniqueFd& terminal, const ConsoleSize& size) {
  if (size.height == 0 || size.width == 0) return;
  const winsize window{.ws_row = size.height, .ws_col = size.width, .ws_xpixel = 0, .ws_ypixel = 0};
  if (::ioctl(terminal.get(), TIOCSWINSZ, &window) < 0)
    throw Error::from_errno("set the size of the terminal");
}

}  // namespace lay::runner
