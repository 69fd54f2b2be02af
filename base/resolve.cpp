#include "resolve.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "base/syscalls.h"
#include "base/text.h"

namespace lay::sys {

namespace {

/// openat2(2) answers EAGAIN when a rename elsewhere races its walk: tried again this often.
constexpr int kResolveTries = 256;
constexpr int kMaxSymlinks = 40;  // the kernel's own limit, path_resolution(7)

/// One attempt at a path. The functions answer as system calls do: -1 and errno.
class Walk {
 public:
  Walk(const UniqueFd& dir, int flags, mode_t mode, Bounds bounds)
      : dir_(dir), flags_(flags | O_CLOEXEC | O_NOCTTY), mode_(mode), bounds_(bounds) {}

  int run(const std::string& path) {
    if (path.empty() || path.size() >= PATH_MAX) return fail(path.empty() ? ENOENT : ENAMETOOLONG);
    if (!push(path)) return -1;
    for (;;) {
      if (rest_.empty()) return ::openat(folder().get(), ".", flags_ & ~O_NOFOLLOW, mode_);
      const std::string name = std::move(rest_.front());
      rest_.pop_front();
      if (name == "..") {
        if (!leave_folder()) return -1;
      } else if (const std::optional<int> end = enter(name)) {
        return *end;
      }
    }
  }

 private:
  static int fail(int error_number) {
    errno = error_number;
    return -1;
  }

  static bool refuse(int error_number) {
    errno = error_number;
    return false;
  }

  const UniqueFd& folder() const { return folders_.empty() ? dir_ : folders_.back(); }

  /// Puts the components of `path` in front of what is left to walk.
  bool push(const std::string& path) {
    if (path.starts_with('/')) {
      if (bounds_ == Bounds::beneath) return refuse(EXDEV);
      folders_.clear();
    }
    // A slash at the end means a folder, be it behind a symlink
    if (rest_.empty() && (path.ends_with('/') || path.ends_with("/.")))
      flags_ = (flags_ | O_DIRECTORY) & ~O_NOFOLLOW;
    std::vector<std::string> parts = split(path, '/');
    for (auto part = parts.rbegin(); part != parts.rend(); ++part)
      if (!part->empty() && *part != ".") rest_.push_front(std::move(*part));
    return true;
  }

  bool leave_folder() {
    if (!folders_.empty())
      folders_.pop_back();
    else if (bounds_ == Bounds::beneath)
      return refuse(EXDEV);
    return true;
  }

  /// Goes one component on; at the end of the walk, its answer.
  std::optional<int> enter(const std::string& name) {
    UniqueFd next{::openat(folder().get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC)};
    if (!next) {
      if (errno != ENOENT || !rest_.empty() || (flags_ & O_CREAT) == 0) return -1;
      return open_last(name);
    }
    struct ::stat info {};
    if (::fstat(next.get(), &info) < 0) return -1;
    const bool is_last = rest_.empty();
    if (S_ISLNK(info.st_mode) && !(is_last && (flags_ & O_NOFOLLOW) != 0))
      return follow(next) ? std::nullopt : std::optional(-1);
    if (is_last) {
      if ((flags_ & O_PATH) == 0) return open_last(name);
      if ((flags_ & O_DIRECTORY) != 0 && !S_ISDIR(info.st_mode)) return fail(ENOTDIR);
      return next.release();
    }
    if (!S_ISDIR(info.st_mode)) return fail(ENOTDIR);
    folders_.push_back(std::move(next));
    return std::nullopt;
  }

  /// Never through a symlink that somebody has put there since we looked: that is another race lost.
  int open_last(const std::string& name) const {
    const int fd = ::openat(folder().get(), name.c_str(), flags_ | O_NOFOLLOW, mode_);
    if (fd < 0 && errno == ELOOP && (flags_ & O_NOFOLLOW) == 0) errno = EAGAIN;
    return fd;
  }

  bool follow(const UniqueFd& link) {
    std::array<char, PATH_MAX> text{};
    if (++symlinks_ > kMaxSymlinks) return refuse(ELOOP);
    const ssize_t length = ::readlinkat(link.get(), "", text.data(), text.size());
    if (length < 0) return false;
    const std::string target(text.data(), static_cast<std::size_t>(length));
    struct ::statfs system {};
    if (::fstatfs(link.get(), &system) < 0) return false;
    // procfs's ordinary symlinks ("self", "mounts") are relative; its magic ones show a path or
    // "kind:[inode]"
    if (system.f_type == PROC_SUPER_MAGIC &&
        (target.starts_with('/') || target.find(':') != std::string::npos))
      return refuse(ELOOP);
    return push(target);
  }

  const UniqueFd& dir_;
  int flags_;
  mode_t mode_;
  Bounds bounds_;
  std::vector<UniqueFd> folders_;
  std::deque<std::string> rest_;
  int symlinks_ = 0;
};

}  // namespace

int open_by_walk(const UniqueFd& dir, const std::string& path, int flags, mode_t mode, Bounds bounds) {
  for (int attempt = 0;; ++attempt) {
    const int fd = retry_eintr([&] { return Walk(dir, flags, mode, bounds).run(path); });
    if (fd >= 0 || errno != EAGAIN || attempt == kResolveTries) return fd;
  }
}

int open_resolved(const UniqueFd& dir, const std::string& path, int flags, mode_t mode, Bounds bounds) {
  const std::uint64_t resolve = bounds == Bounds::beneath ? RESOLVE_BENEATH : RESOLVE_IN_ROOT;
  const int always = (flags & O_PATH) != 0 ? O_CLOEXEC : O_CLOEXEC | O_NOCTTY;
  open_how how{.flags = static_cast<unsigned>(flags | always),
               .mode = (flags & (O_CREAT | O_TMPFILE)) == 0 ? 0 : mode,
               .resolve = resolve | RESOLVE_NO_MAGICLINKS};
  for (int attempt = 0;; ++attempt) {
    const long fd =
        retry_eintr([&] { return ::syscall(SYS_openat2, dir.get(), path.c_str(), &how, sizeof how); });
    if (fd < 0 && errno == ENOSYS) return open_by_walk(dir, path, flags, mode, bounds);
    if (fd >= 0 || errno != EAGAIN || attempt == kResolveTries) return static_cast<int>(fd);
  }
}

}  // namespace lay::sys
