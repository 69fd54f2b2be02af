#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/mount.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "cgroup/layout.h"
#include "rootfs/mount_target.h"
#include "rootfs/rootfs.h"

namespace lay::runner {

namespace {

constexpr std::uint64_t kAttributes =
    MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RELATIME;

/// A mount made in a cgroup namespace shows the groups from the namespace's root down.
UniqueFd make_hierarchy_mount(const CgroupHierarchy& hierarchy) {
  if (hierarchy.version == CgroupVersion::v2) return FsContext("cgroup2").mount(kAttributes);
  FsContext context("cgroup");
  for (const std::string& option : hierarchy.controllers) {
    const std::size_t equals = option.find('=');
    if (equals == std::string::npos)
      context.set_flag(option);
    else
      context.set_string(option.substr(0, equals), option.substr(equals + 1));
  }
  return context.mount(kAttributes);
}

/// "cpu,cpuacct" can be reached as "cpu" and "cpuacct" too, as everybody expects.
void add_links(const UniqueFd& folder, const CgroupHierarchy& hierarchy) {
  if (hierarchy.version == CgroupVersion::v2 || hierarchy.controllers.size() < 2) return;
  for (const std::string& controller : hierarchy.controllers)
    if (controller.find('=') == std::string::npos) sys::symlink_at(hierarchy.name, folder, controller);
}

void mount_v1(const UniqueFd& target, const std::vector<CgroupHierarchy>& hierarchies) {
  FsContext context("tmpfs");
  context.set_string("mode", "0755");
  context.set_string("size", "64k");
  const UniqueFd folder = context.mount(kAttributes & ~std::uint64_t{MOUNT_ATTR_RDONLY});
  attach_mount(folder, target);
  for (const CgroupHierarchy& hierarchy : hierarchies) {
    const std::string name = cgroup_folder_name(hierarchy);
    with_context(fmt::format("cgroup hierarchy '{}'", printable(name)), [&] {
      sys::mkdir_at(folder, name, 0755);
      attach_mount(make_hierarchy_mount(hierarchy),
                   sys::open_at(folder, name, O_PATH | O_DIRECTORY | O_NOFOLLOW));
      add_links(folder, hierarchy);
    });
  }
  set_mount_attributes(folder, MountAttributes{.set = kAttributes, .clear = MOUNT_ATTR__ATIME},
                       Recursion::no);
}

}  // namespace

void mount_cgroups(const Spec& spec) {
  const auto mount = std::find_if(spec.mounts.begin(), spec.mounts.end(), [](const Mount& candidate) {
    return candidate.type == "cgroup" || candidate.type == "cgroup2";
  });
  if (mount == spec.mounts.end() || !has_namespace(spec, NamespaceType::cgroup)) return;
  with_context(fmt::format("mount '{}'", printable(mount->destination)), [&] {
    const UniqueFd root = sys::open_at(sys::cwd(), "/", O_PATH | O_DIRECTORY);
    const UniqueFd target = sys::open_in_root(root, mount->destination, O_PATH | O_DIRECTORY);
    const std::vector<CgroupHierarchy> hierarchies =
        parse_proc_cgroup(sys::read_all(sys::open_at(sys::cwd(), "/proc/self/cgroup", O_RDONLY), 1 << 20));
    if (hierarchies.size() == 1 && hierarchies.front().version == CgroupVersion::v2)
      attach_mount(make_hierarchy_mount(hierarchies.front()), target);
    else
      mount_v1(target, hierarchies);
  });
}

}  // namespace lay::runner
