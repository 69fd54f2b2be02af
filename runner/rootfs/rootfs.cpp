#include "rootfs/rootfs.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/error.h"
#include "base/mount.h"
#include "base/overlay_limit.h"
#include "base/remove_tree.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "rootfs/device_nodes.h"
#include "rootfs/mount_options.h"
#include "rootfs/mounts.h"
#include "rootfs/overlay.h"
#include "rootfs/paths.h"
#include "rootfs/prepared_rootfs.h"
#include "security/id_map.h"

namespace lay::runner {

namespace {

constexpr int kFolder = O_PATH | O_DIRECTORY | O_NOFOLLOW;

/// Folders and nodes get the modes they are made with, whatever umask lay was started under.
class UmaskGuard {
 public:
  explicit UmaskGuard(mode_t mask) : previous_(::umask(mask)) {}
  UmaskGuard(const UmaskGuard&) = delete;
  UmaskGuard& operator=(const UmaskGuard&) = delete;
  ~UmaskGuard() { ::umask(previous_); }

 private:
  mode_t previous_;
};

/// Slave, not private: nothing mounted here reaches the host, yet volumes with "rslave" still follow it.
void leave_propagation() {
  const UniqueFd root = sys::open_at(sys::cwd(), "/", O_PATH | O_DIRECTORY);
  set_mount_attributes(root, MountAttributes{.propagation = MS_SLAVE}, Recursion::yes);
}

bool is_empty(const UniqueFd& place) {
  // "." and ".." are always there: two entries of 24 bytes each (linux_dirent64, getdents(2)).
  const UniqueFd folder = sys::open_dir(place, ".");
  std::array<char, 4096> entries{};
  const long size = ::syscall(SYS_getdents64, folder.get(), entries.data(), entries.size());
  if (size < 0) throw Error::from_errno("list the mount points");
  return size <= 2 * 24;
}

/// The folder at `path` as the overlay is to see it.
UniqueFd open_folder(const OverlayPlan& plan, const std::string& path) {
  if (plan.ids != nullptr) return clone_mapped(path, *plan.ids);
  return sys::open_at(sys::cwd(), path, O_PATH | O_DIRECTORY);
}

/// RUN/points, or any other folder that has the layer of the mount points.
std::string points_folder(const OverlayPlan& plan) {
  return plan.points.substr(0, plan.points.rfind('/'));
}

/// All but upper and work, which have to be of one and the same mount.
OverlayFolders open_lowers(const OverlayPlan& plan) {
  OverlayFolders folders;
  for (const std::string& lower : plan.lowers) folders.lowers.push_back(open_folder(plan, lower));
  if (plan.ids == nullptr)
    folders.place = sys::open_at(sys::cwd(), points_folder(plan), O_PATH | O_DIRECTORY);
  return folders;
}

void take_away(const OverlayPlan& plan, UniqueFd root) {
  if (plan.ids == nullptr) detach_mount(root);  // else it is gone with its last descriptor
  root.reset();
}

void check_system_folders(const UniqueFd& root) {
  for (const char* name : {"proc", "sys", "dev"}) require_real_folder(root, name);
}

/// A new folder that is gone at the end, whatever comes between.
class ScratchFolder {
 public:
  ScratchFolder(const UniqueFd& parent, const std::string& name) : parent_(parent), name_(name) {
    sys::mkdir_at(parent, name, 0700);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() {
    try {
      remove_tree(parent_, name_);
    } catch (const Error&) {
      // take_mount_points() sweeps it
    }
  }

 private:
  const UniqueFd& parent_;
  const std::string& name_;
};

/// Makes the layer of the missing mount points, by means of an overlay whose upper it is, so that what they
/// stand in is copied up as the kernel does it. Another start may have been quicker: theirs is as good.
void make_points(const OverlayPlan& plan, const std::vector<const PlannedMount*>& targets) {
  const UniqueFd place =
      open_folder(plan, points_folder(plan));  // what is attached nowhere lives as long as this
  const UniqueFd folder = sys::open_dir(place, ".");
  const std::string name = plan.points.substr(plan.points.rfind('/') + 1);
  const std::string making = name + "-" + sys::random_hex(8);
  const ScratchFolder scratch(folder, making);
  for (const char* part : {"/layer", "/work"}) sys::mkdir_at(folder, making + part, 0700);

  OverlayFolders folders = open_lowers(plan);
  folders.upper = sys::open_at(folder, making + "/layer", kFolder);
  folders.work = sys::open_at(folder, making + "/work", kFolder);
  UniqueFd root = mount_overlay(folders, Durability::volatile_);
  check_system_folders(root);
  for (const PlannedMount* planned : targets)
    with_context(fmt::format("mount point '{}'", printable(planned->mount.destination)),
                 [&] { make_target(root, planned->target, planned->kind); });
  take_away(plan, std::move(root));
  sys::try_rename_noreplace(folder, making + "/layer", folder, name);
}

UniqueFd mount_overlay_of(const OverlayPlan& plan) {
  OverlayFolders folders = open_lowers(plan);
  UniqueFd points = open_folder(plan, plan.points);
  // Where the image leaves no room for one layer more, they are made in the upper.
  if (!is_empty(points) && folders.lowers.size() < kMostLowers)
    folders.lowers.insert(folders.lowers.begin(), std::move(points));
  const UniqueFd dir = open_folder(plan, plan.dir);
  folders.upper = sys::open_at(dir, "upper", kFolder);
  folders.work = sys::open_at(dir, "work", kFolder);
  return mount_overlay(folders, plan.is_volatile ? Durability::volatile_ : Durability::normal);
}

/// The overlay with every mount point in it.
UniqueFd mount_root(const OverlayPlan& plan, const std::vector<const PlannedMount*>& targets) {
  return with_context("root file system", [&] {
    if (!sys::try_stat_at(sys::cwd(), plan.points)) make_points(plan, targets);
    UniqueFd root = mount_overlay_of(plan);
    check_system_folders(root);
    return root;
  });
}

/// pivot_root(2) "pivot_root(".", ".")": the old root ends up beneath the new one and is detached at once,
/// with all that is mounted in it.
void pivot_into(const UniqueFd& root) {
  const UniqueFd old_root = sys::open_at(sys::cwd(), "/", O_PATH | O_DIRECTORY);
  if (::fchdir(root.get()) < 0) throw Error::from_errno("enter the root file system");
  if (::syscall(SYS_pivot_root, ".", ".") < 0) throw Error::from_errno("pivot into the root file system");
  if (::fchdir(old_root.get()) < 0) throw Error::from_errno("enter the old root");
  if (::umount2(".", MNT_DETACH) < 0) throw Error::from_errno("detach the old root");
  if (::chdir("/") < 0) throw Error::from_errno("enter the new root");
}

std::vector<std::string> mountinfo_lines() {
  constexpr std::size_t kLongest = 16 * 1024 * 1024;
  return split(sys::read_all(sys::open_at(sys::cwd(), "/proc/self/mountinfo", O_RDONLY), kLongest), '\n');
}

/// A copy of the mount at the bundle's root, with what is mounted beneath it.
UniqueFd clone_folder(const std::string& folder) {
  return with_context("root file system", [&] { return clone_tree(sys::cwd(), folder, Recursion::yes); });
}

/// What is mounted on `place` would show in other mount namespaces, too: shared subtrees,
/// mount_namespaces(7). proc_pid_mountinfo(5): the optional fields come after the sixth.
void require_unshared(const UniqueFd& place, const std::string& path) {
  const std::string id = std::to_string(mount_id(place)) + " ";
  for (const std::string& line : mountinfo_lines()) {
    if (!line.starts_with(id)) continue;
    const std::string tags = line.substr(0, line.find(" - "));
    if (tags.find(" shared:") == std::string::npos) return;
    throw Error::make(
        Errc::invalid,
        "'{}' is in a mount that the joined mount namespace shares with others, which would get "
        "the container's mounts",
        printable(path))
        .with_hint("in that namespace: mount --make-rslave /");
  }
  throw Error::make(Errc::invalid, "/proc does not tell of the mount at '{}'", printable(path))
      .with_hint("the joined mount namespace needs a /proc that shows it: join its pid namespace, too");
}

/// Put in its own place, where hooks look for it.
void attach_root(const UniqueFd& root, const std::string& place) {
  attach_mount(root, sys::open_at(sys::cwd(), place, O_PATH | O_DIRECTORY));
}

std::uint64_t propagation_of(RootPropagation propagation) {
  switch (propagation) {
    case RootPropagation::shared:
    case RootPropagation::rshared:
      return MS_SHARED;
    case RootPropagation::slave:
    case RootPropagation::rslave:
      return MS_SLAVE;
    case RootPropagation::unbindable:
    case RootPropagation::runbindable:
      return MS_UNBINDABLE;
    case RootPropagation::private_:
    case RootPropagation::rprivate:
      break;
  }
  return MS_PRIVATE;
}

/// linux.rootfsPropagation. The root is a copy of the mount at its place, which follows the host's as its
/// slave; what is shared is so among the container's own mount namespaces.
void set_root_propagation(const UniqueFd& root, const Linux& linux_part) {
  if (!linux_part.root_propagation) return;
  // Of what is unbindable no path could be made read-only any more.
  const bool is_late = linux_part.root_propagation == RootPropagation::runbindable;
  set_mount_attributes(root, {.propagation = propagation_of(*linux_part.root_propagation)},
                       is_late ? Recursion::yes : Recursion::no);
}

/// The same for what the bundle has mounted in its root. The container's own mounts come later and have ties
/// of their own. The root has to wait as well: a shared one cannot be pivoted into.
void set_propagation_beneath(const UniqueFd& root, const Linux& linux_part) {
  using enum RootPropagation;
  const auto wanted = linux_part.root_propagation;
  if (wanted != rshared && wanted != rprivate) return;  // all are slaves already
  set_mount_attributes(root, {.propagation = propagation_of(*wanted)}, Recursion::yes);
  if (wanted == rshared) set_mount_attributes(root, {.propagation = MS_SLAVE}, Recursion::no);
}

/// The host's proc and sysfs, which nothing masks: as long as they are in the mount namespace, a user
/// namespace made in the container may mount others. Those inside the root are the container's own.
void leave_host_proc(const std::string& root) {
  const std::vector<std::string> lines = mountinfo_lines();
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {  // what lies on top comes last
    const std::vector<std::string> fields = split(*line, ' ');
    const bool is_kernels =
        line->find(" - proc ") != std::string::npos || line->find(" - sysfs ") != std::string::npos;
    if (!is_kernels || fields.size() < 5 || lies_beneath(fields[4], root)) continue;
    if (::umount2(fields[4].c_str(), MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT)
      throw Error::from_errno("leave the host's '{}'", printable(fields[4]));
  }
}

/// runtime-spec knows no such thing, runc's --no-pivot does. mount(2), "MS_MOVE".
void move_into(const UniqueFd& root, const std::string& place) {
  leave_host_proc(place);
  if (::fchdir(root.get()) < 0) throw Error::from_errno("enter the root file system");
  if (::mount(".", "/", nullptr, MS_MOVE, nullptr) < 0)
    throw Error::from_errno("move the root file system over the old one");
  if (::chroot(".") < 0 || ::chdir("/") < 0) throw Error::from_errno("enter the new root");
}

void chroot_into(const UniqueFd& root) {
  if (::fchdir(root.get()) < 0) throw Error::from_errno("enter the root file system");
  if (::chroot(".") < 0 || ::chdir("/") < 0) throw Error::from_errno("enter the new root");
}

void switch_root(const UniqueFd& root, const Spec& spec, RootSwitch root_switch) {
  switch (root_switch) {
    case RootSwitch::pivot:
      return pivot_into(root);
    case RootSwitch::move:
      return move_into(root, spec.root.path);
    case RootSwitch::chroot:
      return chroot_into(root);
  }
}

/// While it can be made. What keeps it from that is said when it is entered: it may be there for its user
/// alone.
void make_working_folder(const UniqueFd& root, const std::string& cwd) {
  try {
    make_target(root, normalize_path(cwd), TargetKind::folder);
  } catch (const Error&) {
    return;
  }
}

void enter(const UniqueFd& root, const std::vector<PlannedMount>& mounts, const Spec& spec,
           RootSwitch root_switch, const std::function<void()>& before_pivot) {
  set_propagation_beneath(root, spec.linux_);
  for (const PlannedMount& planned : mounts)
    if (!waits_for_cgroups(mounts, planned)) place_mount(root, planned, spec);
  remove_kept_nodes(root, spec);
  before_pivot();
  switch_root(root, spec, root_switch);
  mask_paths(root, spec.linux_.masked_paths, spec.linux_.mount_label);
  make_paths_readonly(root, spec.linux_.readonly_paths);
  set_root_propagation(root, spec.linux_);
  // Last: until here mount points may have to be made in a folder that a volume brought.
  if (!spec.root.readonly) return;
  make_working_folder(root, spec.process.cwd);
  set_mount_attributes(root, MountAttributes{.set = MOUNT_ATTR_RDONLY}, Recursion::no);
}

/// After a failure, which matters more than what fails here.
void take_back(const UniqueFd& root) noexcept {
  try {
    detach_mount(root);
  } catch (const std::exception&) {
    // It stays mounted; the runtime's side tries again
  }
}

/// As enter(), on `place` in the mount namespace of others.
void enter_beside_others(const UniqueFd& root, const std::string& place,
                         const std::vector<PlannedMount>& mounts, const Spec& spec,
                         const std::function<void()>& before_pivot) {
  const UniqueFd target = sys::open_at(sys::cwd(), place, O_PATH | O_DIRECTORY);
  require_unshared(target, place);
  set_mount_attributes(root, MountAttributes{.propagation = MS_SLAVE}, Recursion::yes);
  attach_mount(root, target);
  try {
    enter(root, mounts, spec, RootSwitch::chroot, before_pivot);
  } catch (...) {
    take_back(root);
    throw;
  }
}

}  // namespace

std::optional<IdMaps> OverlayPlan::id_maps() const {
  return ids != nullptr ? std::optional<IdMaps>(*ids) : std::nullopt;
}

std::vector<PlannedMount> enter_rootfs(const Spec& spec, const RootfsPlan& plan,
                                       const std::function<void()>& before_pivot) {
  const UmaskGuard umask_guard(022);
  // While the host's paths can be reached; and a mount that shall be shared with the host still is.
  std::vector<PlannedMount> mounts = open_mounts(spec, plan);
  if (plan.root_switch == RootSwitch::chroot) {
    enter_beside_others(clone_folder(plan.folder), plan.folder, mounts, spec, before_pivot);
    return mounts;
  }
  leave_propagation();
  const UniqueFd root =
      plan.folder.empty() ? mount_root(plan.overlay, overlay_targets(mounts)) : clone_folder(plan.folder);
  if (!plan.folder.empty()) attach_root(root, plan.folder);
  enter(root, mounts, spec, plan.root_switch, before_pivot);
  return mounts;
}

std::string mount_for_others(const Spec& spec, const RootfsPlan& plan) {
  const UmaskGuard umask_guard(022);
  const std::vector<PlannedMount> mounts = open_mounts(spec, plan);
  leave_propagation();
  const UniqueFd root = mount_root(plan.overlay, overlay_targets(mounts));
  return sys::readlink_at(sys::cwd(), fd_path(root));
}

PreparedRootfs prepare_rootfs(const Spec& spec, const RootfsPlan& plan) {
  const UmaskGuard umask_guard(022);
  PreparedRootfs prepared{.mounts = open_mounts(spec, plan), .root = {}};
  const FileOwnerGuard owner_guard(*plan.overlay.ids);
  for (PlannedMount& planned : prepared.mounts) prepare_dev(planned, spec, *plan.overlay.ids);
  if (!plan.folder.empty()) {
    prepared.root = clone_folder(plan.folder);
    prepared.place = plan.folder;
    prepared.root_switch = plan.root_switch;
    return prepared;
  }
  prepared.root = mount_root(plan.overlay, overlay_targets(prepared.mounts));
  return prepared;
}

void enter_prepared_rootfs(const Spec& spec, const PreparedRootfs& prepared,
                           const std::function<void()>& before_pivot) {
  const UmaskGuard umask_guard(022);
  leave_propagation();
  try {
    attach_root(prepared.root, prepared.place);
  } catch (const Error& error) {
    // The host's paths to it may be closed to the container's root, who is nobody there
    if (error.error_number() != EACCES || prepared.root_switch == RootSwitch::move) throw;
    attach_root(prepared.root, kPlaceForRoot);
  }
  enter(prepared.root, prepared.mounts, spec, prepared.root_switch, before_pivot);
}

}  // namespace lay::runner
