#include "rootfs/mount_target.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <deque>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"

namespace lay::runner {

namespace {

constexpr int kMaxSymlinks = 40;  // the kernel's own limit, path_resolution(7)

/// Walks a path component by component, holding every folder on the way, so that ".." is the folder it came
/// from and nothing that changes meanwhile can lead out of the root.
class Walk {
 public:
  Walk(const UniqueFd& root, const std::string& path) : root_(root), path_(path) { push(path); }

  UniqueFd run(TargetKind kind) {
    for (;;) {
      if (rest_.empty()) return sys::open_at(folder(), ".", O_PATH);
      const std::string name = std::move(rest_.front());
      rest_.pop_front();
      if (name == "..") {
        if (!folders_.empty()) folders_.pop_back();
        continue;
      }
      UniqueFd next = open_or_make(name, rest_.empty() ? kind : TargetKind::folder);
      const mode_t type = sys::stat_of(next).st_mode & S_IFMT;
      if (type == S_IFLNK)
        follow(name);
      else if (type == S_IFDIR)
        folders_.push_back(std::move(next));
      else if (rest_.empty())
        return next;
      else
        throw Error::make(Errc::invalid, "'{}' of '{}' is not a folder", printable(name), printable(path_));
    }
  }

 private:
  const UniqueFd& folder() const { return folders_.empty() ? root_ : folders_.back(); }

  /// Puts the components of `path` in front of what is left to walk.
  void push(const std::string& path) {
    std::vector<std::string> parts = split(path, '/');
    for (auto part = parts.rbegin(); part != parts.rend(); ++part)
      if (!part->empty() && *part != ".") rest_.push_front(std::move(*part));
  }

  void follow(const std::string& name) {
    if (++symlinks_ > kMaxSymlinks)
      throw Error::make(Errc::invalid, "'{}' leads through more than {} symlinks", printable(path_),
                        kMaxSymlinks);
    const std::string target = sys::readlink_at(folder(), name);
    if (target.starts_with('/')) folders_.clear();
    push(target);
  }

  UniqueFd open_or_make(const std::string& name, TargetKind kind) {
    constexpr int kFlags = O_PATH | O_NOFOLLOW;
    if (std::optional<UniqueFd> found = sys::try_open_at(folder(), name, kFlags)) return std::move(*found);
    const timespec before = sys::stat_of(folder()).st_mtim;
    // Somebody else may have made it since (a volume that two containers share): then theirs is as good.
    if (kind == TargetKind::folder)
      sys::try_mkdir_at(folder(), name, 0755);
    else
      sys::try_open_at(folder(), name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0644);
    sys::set_mtime_at(folder(), ".", before);
    return sys::open_at(folder(), name, kFlags);
  }

  const UniqueFd& root_;
  const std::string& path_;
  std::vector<UniqueFd> folders_;
  std::deque<std::string> rest_;
  int symlinks_ = 0;
};

}  // namespace

std::optional<UniqueFd> find_target(const UniqueFd& root, const std::string& path) {
  return sys::try_open_in_root(root, path, O_PATH);
}

UniqueFd make_target(const UniqueFd& root, const std::string& path, TargetKind kind) {
  if (std::optional<UniqueFd> found = find_target(root, path)) return std::move(*found);
  return Walk(root, path).run(kind);
}

void require_real_folder(const UniqueFd& root, const std::string& name) {
  const std::optional<struct ::stat> info = sys::try_stat_at(root, name);
  if (!info || S_ISDIR(info->st_mode)) return;
  throw Error::make(Errc::invalid, "'/{}' of the image is {}, expected a folder", name,
                    S_ISLNK(info->st_mode) ? "a symlink" : "not a folder")
      .with_hint("replace it by an empty folder and commit the image again");
}

}  // namespace lay::runner
