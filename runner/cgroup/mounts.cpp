#include "rootfs/mounts.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/mount.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "cgroup/cgroup.h"
#include "cgroup/layout.h"
#include "rootfs/mount_options.h"
#include "rootfs/mount_target.h"
#include "rootfs/paths.h"
#include "rootfs/rootfs.h"
#include "security/host_labels.h"

namespace lay::runner {

namespace {

constexpr std::uint64_t kAttributes =
    MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RELATIME;

/// A mount made in a cgroup namespace shows the groups from the namespace's root down.
UniqueFd make_hierarchy_mount(const CgroupHierarchy& hierarchy, std::uint64_t attributes) {
  if (hierarchy.version == CgroupVersion::v2) return FsContext("cgroup2").mount(attributes);
  FsContext context("cgroup");
  for (const std::string& option : hierarchy.controllers) {
    const std::size_t equals = option.find('=');
    if (equals == std::string::npos)
      context.set_flag(option);
    else
      context.set_string(option.substr(0, equals), option.substr(equals + 1));
  }
  return context.mount(attributes);
}

/// "cpu,cpuacct" can be reached as "cpu" and "cpuacct" too, as everybody expects.
void add_links(const UniqueFd& folder, const CgroupHierarchy& hierarchy) {
  if (hierarchy.version == CgroupVersion::v2 || hierarchy.controllers.size() < 2) return;
  for (const std::string& controller : hierarchy.controllers)
    if (controller.find('=') == std::string::npos) sys::symlink_at(hierarchy.name, folder, controller);
}

/// As read-only as the mount asks for.
std::uint64_t attributes_for(const Mount& mount) {
  const bool is_readonly = std::ranges::find(mount.options, "ro") != mount.options.end();
  return is_readonly ? kAttributes : kAttributes & ~std::uint64_t{MOUNT_ATTR_RDONLY};
}

void mount_v1(const UniqueFd& target, const std::vector<CgroupMount>& mounts, const std::string& label) {
  FsContext context("tmpfs");
  context.set_string("mode", "0755");
  context.set_string("size", "64k");
  if (!label.empty()) context.set_string(kLabelOption, label);
  const UniqueFd folder = context.mount(kAttributes & ~std::uint64_t{MOUNT_ATTR_RDONLY});
  attach_mount(folder, target);
  for (const CgroupMount& each : mounts) {
    const std::string name = cgroup_folder_name(each.hierarchy);
    with_context(fmt::format("cgroup hierarchy '{}'", printable(name)), [&] {
      sys::mkdir_at(folder, name, 0755);
      attach_mount(each.mount, sys::open_at(folder, name, O_PATH | O_DIRECTORY | O_NOFOLLOW));
      add_links(folder, each.hierarchy);
    });
  }
  set_mount_attributes(folder, MountAttributes{.set = kAttributes, .clear = MOUNT_ATTR__ATIME},
                       Recursion::no);
}

/// v2 alone right there, v1 and hybrid as a tmpfs with a folder for each hierarchy.
void show(const Mount& mount, const std::vector<CgroupMount>& mounts, const std::string& label) {
  const UniqueFd root = sys::open_at(sys::cwd(), "/", O_PATH | O_DIRECTORY);
  const UniqueFd target = sys::open_in_root(root, mount.destination, O_PATH | O_DIRECTORY);
  if (mounts.size() == 1 && mounts.front().hierarchy.version == CgroupVersion::v2)
    attach_mount(mounts.front().mount, target);
  else
    mount_v1(target, mounts, label);
}

/// What is to be hidden or read-only in the groups, which were not there when all else was.
void cover_paths(const Spec& spec, const Mount& mount) {
  const auto inside = [&](const std::vector<std::string>& paths) {
    const std::string place = normalize_path(mount.destination);
    std::vector<std::string> found;
    std::ranges::copy_if(paths, std::back_inserter(found), [&](const std::string& path) {
      return normalize_path(path) == place || lies_beneath(normalize_path(path), place);
    });
    return found;
  };
  const UniqueFd root = sys::open_at(sys::cwd(), "/", O_PATH | O_DIRECTORY);
  mask_paths(root, inside(spec.linux_.masked_paths), spec.linux_.mount_label);
  make_paths_readonly(root, inside(spec.linux_.readonly_paths));
}

void place_in_groups(const Spec& spec, const std::vector<PlannedMount>& mounts) {
  const UniqueFd root = sys::open_at(sys::cwd(), "/", O_PATH | O_DIRECTORY);
  for (const PlannedMount& planned : mounts)
    if (waits_for_cgroups(mounts, planned)) place_mount(root, planned, spec);
}

}  // namespace

const Mount* find_cgroup_mount(const Spec& spec) {
  const auto mount = std::ranges::find_if(
      spec.mounts, [](const Mount& each) { return each.type == "cgroup" || each.type == "cgroup2"; });
  return mount == spec.mounts.end() ? nullptr : &*mount;
}

void mount_cgroups(const Spec& spec) {
  mount_cgroups(spec, {});
}

void mount_cgroups(const Spec& spec, const std::vector<PlannedMount>& planned) {
  const Mount* mount = find_cgroup_mount(spec);
  if (mount == nullptr || !has_namespace(spec, NamespaceType::cgroup)) return place_in_groups(spec, planned);
  with_context(fmt::format("mount '{}'", printable(mount->destination)), [&] {
    std::vector<CgroupMount> mounts;
    for (CgroupHierarchy& hierarchy :
         parse_proc_cgroup(sys::read_all(sys::open_at(sys::cwd(), "/proc/self/cgroup", O_RDONLY), 1 << 20))) {
      UniqueFd made = make_hierarchy_mount(hierarchy, attributes_for(*mount));
      mounts.push_back({.hierarchy = std::move(hierarchy), .mount = std::move(made)});
    }
    show(*mount, mounts, spec.linux_.mount_label);
    place_in_groups(spec, planned);
    cover_paths(spec, *mount);
  });
}

void bind_cgroups(const Spec& spec, const std::vector<CgroupMount>& groups,
                  const std::vector<PlannedMount>& planned) {
  const Mount* mount = find_cgroup_mount(spec);
  if (mount == nullptr) return;
  with_context(fmt::format("mount '{}'", printable(mount->destination)), [&] {
    for (const CgroupMount& group : groups)
      set_mount_attributes(group.mount,
                           MountAttributes{.set = attributes_for(*mount), .clear = MOUNT_ATTR__ATIME},
                           Recursion::no);
    show(*mount, groups, spec.linux_.mount_label);
    place_in_groups(spec, planned);
    cover_paths(spec, *mount);
  });
}

}  // namespace lay::runner
