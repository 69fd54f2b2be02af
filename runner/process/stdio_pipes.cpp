#include "process/stdio_pipes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <utility>

#include "base/error.h"
#include "base/mount.h"
#include "base/pipe.h"
#include "base/syscalls.h"

namespace lay::runner {

namespace {

void set_nonblocking(const UniqueFd& fd) {
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) < 0)
    throw Error::from_errno("make a pipe non-blocking");
}

void duplicate(const UniqueFd& fd, int number) {
  if (::dup2(fd.get(), number) < 0) throw Error::from_errno("make descriptor {}", number);
}

bool is_null_device(const struct ::stat& info) {
  return S_ISCHR(info.st_mode) && info.st_rdev == makedev(1, 3);
}

}  // namespace

Stdio make_pipes(InputMode input) {
  Stdio stdio;
  if (input == InputMode::relayed) {
    Pipe in = make_pipe();
    set_nonblocking(in.write);  // a container that does not read must not stop the supervisor
    stdio.child.in = std::move(in.read);
    stdio.parent.in = std::move(in.write);
  } else if (input == InputMode::ended) {
    stdio.child.in = make_pipe().read;
  } else if (input == InputMode::none) {
    stdio.child.in = open_null_of_its_own();
  }
  Pipe out = make_pipe();
  Pipe err = make_pipe();
  set_nonblocking(out.read);
  set_nonblocking(err.read);
  stdio.child.out = std::move(out.write);
  stdio.parent.out = std::move(out.read);
  stdio.child.err = std::move(err.write);
  stdio.parent.err = std::move(err.read);
  return stdio;
}

ChildStdio silent_stdio() {
  UniqueFd null = open_null_of_its_own();
  return {.in = sys::dup_fd(null), .out = sys::dup_fd(null), .err = std::move(null)};
}

UniqueFd open_null_of_its_own() {
  const UniqueFd devices = FsContext("tmpfs").mount(MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
  sys::mkdir_at(devices, "dev", 0755);  // so that its name reads as expected
  sys::mknod_at(devices, "dev/null", S_IFCHR | 0666, makedev(1, 3));
  UniqueFd null = sys::open_at(devices, "dev/null", O_RDWR);
  if (::fchmod(null.get(), 0666) < 0) throw Error::from_errno("let everybody use a null device");  // umask(2)
  return null;
}

UniqueFd open_null_inside() {
  try {
    const UniqueFd root = sys::open_at(sys::cwd(), "/", O_PATH | O_DIRECTORY);
    const auto open = [&](int flags) { return sys::open_in_root(root, "/dev/null", flags | O_NOFOLLOW); };
    if (!is_null_device(sys::stat_of(open(O_PATH)))) return open_null_of_its_own();  // opening may do things
    UniqueFd null = open(O_RDWR);
    if (is_null_device(sys::stat_of(null))) return null;
  } catch (const Error&) {  // NOLINT(bugprone-empty-catch): a /dev of the user's may hold anything
  }
  return open_null_of_its_own();
}

void give_pipes_to(const ChildStdio& stdio, uid_t uid, gid_t gid) {
  for (const UniqueFd* fd : {&stdio.in, &stdio.out, &stdio.err}) {
    if (!*fd || !S_ISFIFO(sys::stat_of(*fd).st_mode)) continue;
    if (::fchown(fd->get(), uid, gid) < 0) throw Error::from_errno("give a pipe to the container's root");
  }
}

ParentStdio parent_side(UniqueFd master, InputMode input) {
  set_nonblocking(master);
  ParentStdio stdio;
  if (input == InputMode::relayed) stdio.in = sys::dup_fd(master);
  stdio.out = std::move(master);
  return stdio;
}

void take_stdio(const ChildStdio& stdio) {
  duplicate(stdio.in, STDIN_FILENO);
  duplicate(stdio.out, STDOUT_FILENO);
  duplicate(stdio.err, STDERR_FILENO);
}

void replace_null_streams() {
  UniqueFd own;
  for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    struct ::stat info {};
    if (::fstat(number, &info) < 0 || !is_null_device(info)) continue;
    if (!own) own = open_null_of_its_own();
    duplicate(own, number);
  }
}

}  // namespace lay::runner
