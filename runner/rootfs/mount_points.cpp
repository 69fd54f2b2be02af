#include "rootfs/mount_points.h"

#include <fcntl.h>
#include <linux/magic.h>

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/folder_names.h"
#include "base/make_folders.h"
#include "base/mount.h"
#include "base/remove_tree.h"
#include "base/sha256.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "rootfs/mount_options.h"

namespace lay::runner {

namespace {

constexpr const char* kLock = "lock";
constexpr std::string_view kLockSuffix = ".lock";
constexpr std::ptrdiff_t kKept = 16;  // layers that wait for their next user; each takes a dozen inodes

/// A source that is not there is told when it is opened.
bool is_file(const Mount& mount) {
  std::error_code ignored;
  return is_bind(mount) && std::filesystem::exists(mount.source, ignored) &&
         !std::filesystem::is_directory(mount.source, ignored);
}

/// A name for what the layer holds.
std::string key_of(const Spec& spec, const RootfsPlan& plan) {
  std::string text = sys::boot_id();
  const auto add = [&](std::string_view part) { (text += part) += '\0'; };
  for (const std::string& lower : plan.overlay.lowers) add(lower);
  for (const Mount& mount : spec.mounts) {
    add(is_file(mount) ? "file" : "folder");
    add(mount.destination);
  }
  for (const BoundFile& file : plan.files) add(file.destination);
  return sha256_hex(text);
}

std::string make_folder(const std::string& run, const std::string& containers) {
  make_folders(run);
  const bool is_fit =
      filesystem_magic(sys::open_at(sys::cwd(), run, O_PATH | O_DIRECTORY)) != OVERLAYFS_SUPER_MAGIC;
  std::string path = is_fit ? run + "/points" : containers + "/.points";
  sys::try_mkdir_at(sys::cwd(), path, 0700);
  return path;
}

bool is_lock(const std::string& name) {
  return name.ends_with(kLockSuffix);
}

/// Removes what has a name that begins with the key, the layer and what killed processes left of it, unless
/// somebody uses it.
void remove_layer(const UniqueFd& folder, const std::vector<std::string>& names, std::string_view key) {
  const std::string lock_name = std::string(key) + std::string(kLockSuffix);
  const auto unused = FileLock::try_acquire(folder, lock_name, LockMode::exclusive);
  if (!unused) return;
  for (const std::string& name : names)
    if (name.starts_with(key) && name != lock_name) remove_tree(folder, name);
  sys::unlink_at(folder, lock_name);
}

/// Under the exclusive lock: of `key` always, of the others when there are many.
void remove_unused(const UniqueFd& folder, const std::string& key) {
  const std::vector<std::string> names = list_names(folder);
  const bool are_many = std::count_if(names.begin(), names.end(), is_lock) > kKept;
  for (const std::string& name : names)
    if (is_lock(name) && (are_many || name.starts_with(key)))
      remove_layer(folder, names, std::string_view(name).substr(0, name.size() - kLockSuffix.size()));
}

}  // namespace

MountPoints take_mount_points(const std::string& run, const std::string& containers, const Spec& spec,
                              const RootfsPlan& plan) {
  const std::string path = make_folder(run, containers);
  const std::string key = key_of(spec, plan);
  const UniqueFd folder = sys::open_dir(sys::cwd(), path);
  const auto take = [&] {
    return MountPoints{.path = path + "/" + key,
                       .held = FileLock::acquire(folder, key + std::string(kLockSuffix), LockMode::shared)};
  };
  {
    const FileLock lock = FileLock::acquire(folder, kLock, LockMode::shared);
    if (sys::try_stat_at(folder, key)) return take();
  }
  const FileLock lock = FileLock::acquire(folder, kLock, LockMode::exclusive);
  sys::try_mkdir_at(folder, "merged", 0700);
  remove_unused(folder, key);
  return take();
}

}  // namespace lay::runner
