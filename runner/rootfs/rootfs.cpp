#include "rootfs/rootfs.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "base/mount.h"
#include "base/remove_tree.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "rootfs/mounts.h"
#include "rootfs/overlay.h"
#include "rootfs/paths.h"
#include "rootfs/prepared_rootfs.h"
#include "security/id_map.h"

namespace lay::runner {

namespace {

constexpr int kFolder = O_PATH | O_DIRECTORY | O_NOFOLLOW;
constexpr const char* kInitWork = "init-work";

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

bool is_empty_folder(const UniqueFd& dir, const std::string& name) {
  // "." and ".." are always there: two entries of 24 bytes each (linux_dirent64, getdents(2)).
  const UniqueFd folder = sys::open_dir(dir, name);
  std::array<char, 4096> entries{};
  const long size = ::syscall(SYS_getdents64, folder.get(), entries.data(), entries.size());
  if (size < 0) throw Error::from_errno("list '{}'", name);
  return size <= 2 * 24;
}

/// The folder at `path` as the overlay is to see it.
UniqueFd open_folder(const OverlayPlan& plan, const std::string& path) {
  if (plan.ids != nullptr) return clone_mapped(path, *plan.ids);
  return sys::open_at(sys::cwd(), path, O_PATH | O_DIRECTORY);
}

/// What is left of an overlay's folders when those of the container itself are chosen from `dir`, all from
/// one and the same mount.
struct OpenFolders {
  OverlayFolders overlay;
  UniqueFd dir;
};

OpenFolders open_folders(const OverlayPlan& plan) {
  OpenFolders folders;
  for (const std::string& lower : plan.lowers) folders.overlay.lowers.push_back(open_folder(plan, lower));
  folders.dir = open_folder(plan, plan.dir);
  if (plan.ids == nullptr) folders.overlay.dir = sys::open_at(folders.dir, ".", O_PATH | O_DIRECTORY);
  return folders;
}

void take_away(const OverlayPlan& plan, UniqueFd root) {
  if (plan.ids == nullptr) detach_mount(root);  // else it is gone with its last descriptor
  root.reset();
}

void check_system_folders(const UniqueFd& root) {
  for (const char* name : {"proc", "sys", "dev"}) require_real_folder(root, name);
}

bool has_targets(const UniqueFd& root, const std::vector<const PlannedMount*>& targets) {
  return std::all_of(targets.begin(), targets.end(), [&](const PlannedMount* planned) {
    return find_target(root, planned->target).has_value();
  });
}

/// Makes the missing mount points in init/, by means of an overlay whose upper it is, so that what they stand
/// in is copied up as the kernel does it. Its work folder is thrown away.
void make_targets_in_init(const OverlayPlan& plan, const std::vector<const PlannedMount*>& targets) {
  OpenFolders folders = open_folders(plan);
  const UniqueFd dir = sys::open_dir(folders.dir, ".");
  remove_tree(dir, kInitWork);  // of a start that was killed
  sys::mkdir_at(dir, kInitWork, 0700);
  folders.overlay.upper = sys::open_at(dir, "init", kFolder);
  folders.overlay.work = sys::open_at(dir, kInitWork, kFolder);
  UniqueFd root = mount_overlay(folders.overlay, Durability::volatile_);
  check_system_folders(root);
  for (const PlannedMount* planned : targets)
    with_context(fmt::format("mount point '{}'", printable(planned->mount.destination)),
                 [&] { make_target(root, planned->target, planned->kind); });
  take_away(plan, std::move(root));
  remove_tree(dir, kInitWork);
}

UniqueFd mount_real_overlay(const OverlayPlan& plan) {
  OpenFolders folders = open_folders(plan);
  OverlayFolders& overlay = folders.overlay;
  if (!is_empty_folder(folders.dir, "init"))
    overlay.lowers.insert(overlay.lowers.begin(), sys::open_at(folders.dir, "init", kFolder));
  overlay.upper = sys::open_at(folders.dir, "upper", kFolder);
  overlay.work = sys::open_at(folders.dir, "work", kFolder);
  return mount_overlay(overlay, plan.is_volatile ? Durability::volatile_ : Durability::normal);
}

/// The overlay with every mount point in it, the missing ones coming from init/. A first start begins with
/// making them; a later one finds them, unless the mounts have changed.
UniqueFd mount_root(const OverlayPlan& plan, const std::vector<const PlannedMount*>& targets) {
  return with_context("root file system", [&] {
    const UniqueFd dir = sys::open_at(sys::cwd(), plan.dir, O_PATH | O_DIRECTORY);
    const bool is_first = is_empty_folder(dir, "init");
    if (is_first) make_targets_in_init(plan, targets);
    UniqueFd root = mount_real_overlay(plan);
    check_system_folders(root);
    if (is_first || has_targets(root, targets)) return root;
    take_away(plan, std::move(root));
    make_targets_in_init(plan, targets);
    return mount_real_overlay(plan);
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

void enter(const UniqueFd& root, const std::vector<PlannedMount>& mounts, const Spec& spec) {
  for (const PlannedMount& planned : mounts) place_mount(root, planned, spec);
  pivot_into(root);
  mask_paths(root, spec.linux_.masked_paths);
  make_paths_readonly(root, spec.linux_.readonly_paths);
  // Last: until here mount points may have to be made in a folder that a volume brought.
  if (spec.root.readonly)
    set_mount_attributes(root, MountAttributes{.set = MOUNT_ATTR_RDONLY}, Recursion::no);
}

}  // namespace

void enter_rootfs(const Spec& spec, const RootfsPlan& plan) {
  const UmaskGuard umask_guard(022);
  leave_propagation();
  const std::vector<PlannedMount> mounts = open_mounts(spec, plan);  // while the host's paths can be reached
  enter(mount_root(plan.overlay, overlay_targets(mounts)), mounts, spec);
}

PreparedRootfs prepare_rootfs(const Spec& spec, const RootfsPlan& plan) {
  const UmaskGuard umask_guard(022);
  PreparedRootfs prepared{.mounts = open_mounts(spec, plan), .root = {}};
  const FileOwnerGuard owner_guard(*plan.overlay.ids);
  for (PlannedMount& planned : prepared.mounts) prepare_dev(planned, spec, *plan.overlay.ids);
  prepared.root = mount_root(plan.overlay, overlay_targets(prepared.mounts));
  return prepared;
}

void enter_prepared_rootfs(const Spec& spec, const PreparedRootfs& prepared) {
  const UmaskGuard umask_guard(022);
  leave_propagation();
  // Anywhere but on what may be cloned: pivot_root(2) wants a mount, and takes it from there.
  attach_mount(prepared.root, sys::open_at(sys::cwd(), "/dev", O_PATH | O_DIRECTORY));
  enter(prepared.root, prepared.mounts, spec);
}

}  // namespace lay::runner
