#pragma once

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

#include <functional>
#include <string>
#include <vector>

#include "base/syscalls.h"
#include "base/text.h"
#include "in_child.h"
#include "rootfs/mount_points.h"
#include "rootfs/rootfs.h"
#include "runner/spec.h"
#include "temp_folder.h"

namespace lay::test {

inline std::string text_of(const UniqueFd& dir, const std::string& path) {
  return sys::read_all(sys::open_at(dir, path, O_RDONLY), 1 << 24);
}

inline void put_file(const UniqueFd& dir, const std::string& path, const std::string& text) {
  sys::write_all(sys::open_at(dir, path, O_WRONLY | O_CREAT | O_TRUNC, 0644), text);
}

inline void put_folder(const UniqueFd& dir, const std::string& path) {
  sys::try_mkdir_at(dir, path, 0755);
}

/// An image of one layer and a container's folder, in a folder of their own; enters it in a child.
class RootfsFixture {
 public:
  static constexpr int kNamespaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET;

  /// `name` is the folder in which everything lies; any characters.
  explicit RootfsFixture(const std::string& name = "store") {
    put_folder(temp_.fd(), name);
    base_ = sys::open_dir(temp_.fd(), name);
    path_ = temp_.path() + "/" + name;
    for (const char* folder : {"layer", "container", "volume", "canary"}) put_folder(base_, folder);
    for (const char* folder : {"upper", "work"}) put_folder(base_, std::string("container/") + folder);
    for (const char* folder : {"proc", "sys", "dev", "etc", "tmp"})
      put_folder(base_, std::string("layer/") + folder);
    put_file(base_, "canary/secret", "canary");
    for (const char* file : {"hosts", "hostname", "resolv.conf"}) {
      put_file(base_, std::string("container/") + file, std::string("lay's ") + file);
      plan.files.push_back({path_ + "/container/" + file, std::string("/etc/") + file});
    }
    plan.overlay = {.lowers = {path_ + "/layer"}, .dir = path_ + "/container"};
    spec = runner::default_spec();
  }

  /// The folder with layer/, container/, volume/ and canary/.
  const UniqueFd& base() const { return base_; }
  const std::string& path() const { return path_; }
  UniqueFd layer() const { return sys::open_dir(base_, "layer"); }

  void add_volume(const std::string& destination, std::vector<std::string> options = {"rbind", "rprivate"}) {
    spec.mounts.push_back({destination, "bind", path_ + "/volume", std::move(options)});
  }

  /// Where the layer of the mount points is, or will be.
  runner::MountPoints points() const {
    return runner::take_mount_points(path_ + "/run", path_ + "/container", spec, plan);
  }

  /// Enters the root in the calling process, which has a mount namespace of its own.
  void enter_root() const {
    const runner::MountPoints points = this->points();
    runner::RootfsPlan complete = plan;
    complete.overlay.points = points.path;
    runner::enter_rootfs(spec, complete);
  }

  /// Enters the root in a child with namespaces of its own and runs `body` there.
  ChildResult enter(const std::function<std::string()>& body) const {
    return in_child(kNamespaces, [&] {
      enter_root();
      return body();
    });
  }

  runner::Spec spec;
  runner::RootfsPlan plan;

 private:
  TempFolder temp_;
  UniqueFd base_;
  std::string path_;
};

/// The lines of this process's mountinfo that name `text`.
inline std::vector<std::string> mounts_naming(const std::string& text) {
  std::vector<std::string> result;
  for (std::string& line : split(text_of(sys::cwd(), "/proc/self/mountinfo"), '\n'))
    if (line.find(text) != std::string::npos) result.push_back(std::move(line));
  return result;
}

}  // namespace lay::test
