#include <fcntl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>

#include "base/error.h"
#include "base/mount.h"
#include "base/syscalls.h"
#include "rootfs/rootfs.h"

namespace lay::runner {

namespace {

/// The multiplexer of the container's own devpts; anything else under that name is refused before it is used.
UniqueFd open_multiplexer(const UniqueFd& root) {
  UniqueFd master = sys::open_in_root(root, "/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW);
  const struct ::stat info = sys::stat_of(master);
  if (filesystem_magic(master) != DEVPTS_SUPER_MAGIC || !S_ISCHR(info.st_mode) ||
      info.st_rdev != ::makedev(5, 2))
    throw Error::make(Errc::invalid, "'/dev/pts/ptmx' of the container is no pty multiplexer");
  return master;
}

/// The other end, asked of the master itself: a path such as /dev/pts/0 could lead elsewhere.
UniqueFd open_peer(const UniqueFd& master) {
  int unlock = 0;
  if (::ioctl(master.get(), TIOCSPTLCK, &unlock) < 0) throw Error::from_errno("unlock the pty");
  const int peer = ::ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (peer < 0) throw Error::from_errno("open the pty's peer");
  return UniqueFd{peer};
}

void set_window_size(const UniqueFd& master, const ConsoleSize& size) {
  if (size.height == 0 && size.width == 0) return;
  const ::winsize window{.ws_row = size.height, .ws_col = size.width, .ws_xpixel = 0, .ws_ypixel = 0};
  if (::ioctl(master.get(), TIOCSWINSZ, &window) < 0) throw Error::from_errno("set the window size");
}

}  // namespace

UniqueFd open_console(const Spec& spec) {
  return with_context("console", [&] {
    const UniqueFd root = sys::open_at(sys::cwd(), "/", O_PATH | O_DIRECTORY);
    UniqueFd master = open_multiplexer(root);
    set_window_size(master, spec.process.console_size);
    const UniqueFd peer = open_peer(master);
    const UniqueFd dev = sys::open_in_root(root, "/dev", O_PATH | O_DIRECTORY);
    const UniqueFd console = sys::open_at(dev, "console", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    attach_mount(clone_tree(peer, Recursion::no), console);
    return master;
  });
}

}  // namespace lay::runner
