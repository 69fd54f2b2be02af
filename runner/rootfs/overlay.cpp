#include "rootfs/overlay.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/mount.h"
#include "base/remove_tree.h"
#include "base/syscalls.h"

namespace lay::runner {

namespace {

/// "nofollow" and not "off": where the kernel was built with REDIRECT_ALWAYS_FOLLOW, "off" still follows the
/// redirect attributes that a hostile layer may carry.
constexpr std::array<std::pair<const char*, const char*>, 4> kFixedOptions{{
    {"redirect_dir", "nofollow"},
    {"metacopy", "off"},
    {"index", "off"},
    {"xino", "off"},
}};

constexpr const char* kTarget = "merged";

/// A volatile mount marks its work folder, and the kernel refuses the next mount as long as the mark is
/// there. The mark says that a crash of the machine may have lost data, a risk the volatile container was
/// started with.
void clear_volatile_mark(const UniqueFd& work) {
  const UniqueFd dir = sys::open_dir(work, ".");
  if (sys::try_stat_at(dir, "work/incompat/volatile")) remove_tree(dir, "work");
}

/// Why the kernel may have refused: it says only "invalid argument" for a file
/// system that cannot hold an upper.
Error explained(Error error, const OverlayFolders& folders) {
  constexpr std::array<std::uint64_t, 4> kUnfit{OVERLAYFS_SUPER_MAGIC, NFS_SUPER_MAGIC, 0x65735546 /* fuse */,
                                                0x4d44 /* vfat */};
  const std::uint64_t magic = filesystem_magic(folders.upper);
  if (error.error_number() == EINVAL && std::find(kUnfit.begin(), kUnfit.end(), magic) != kUnfit.end())
    error.with_hint(
        "the file system under lay's root cannot hold an upper folder; use a --root on ext4, xfs or btrfs");
  return error;
}

/// Before Linux 6.5 overlay takes the old call's options only, which fsconfig(2) merely gathers: any key
/// passes, and the mount is refused then.
bool takes_any_option() {
  return FsContext("overlay").try_set_string("no_such_option", "x");
}

/// Empty when the kernel is too old to take layers one by one.
std::optional<UniqueFd> try_mount_per_layer(const OverlayFolders& folders, Durability durability) {
  FsContext context("overlay");
  // Any reason to refuse the first layer but the key itself comes up again in the
  // other way, with a word about it.
  if (!context.try_set_string("lowerdir+", fd_path(folders.lowers.front()))) return std::nullopt;
  for (std::size_t i = 1; i < folders.lowers.size(); ++i)
    context.set_string("lowerdir+", fd_path(folders.lowers[i]));
  context.set_string("upperdir", fd_path(folders.upper));
  context.set_string("workdir", fd_path(folders.work));
  set_fixed_options(context);
  if (durability == Durability::volatile_) context.set_flag("volatile");
  UniqueFd mount;
  try {
    mount = context.mount(MOUNT_ATTR_NODEV);
  } catch (const Error& error) {
    if (error.error_number() != EINVAL || !takes_any_option()) throw;
    return std::nullopt;
  }
  if (folders.place)
    attach_mount(mount, sys::open_at(folders.place, kTarget, O_PATH | O_DIRECTORY | O_NOFOLLOW));
  return mount;
}

/// The old call's options must fit one page (4096 bytes), so layers are named relative to /proc/self/fd:
/// "12:13". The calling process's current folder is changed for that and put back.
UniqueFd mount_one_string(const OverlayFolders& folders, Durability durability) {
  const UniqueFd previous = sys::open_at(sys::cwd(), ".", O_PATH | O_DIRECTORY);
  std::string options = fmt::format("upperdir={},workdir={}", folders.upper.get(), folders.work.get());
  for (const auto& [key, value] : kFixedOptions) options += fmt::format(",{}={}", key, value);
  if (durability == Durability::volatile_) options += ",volatile";
  options += ",lowerdir=";
  for (const UniqueFd& lower : folders.lowers) options += fmt::format("{}:", lower.get());
  options.pop_back();
  if (options.size() >= 4096)
    throw Error::make(Errc::unsupported, "{} layers do not fit the mount options of this kernel",
                      folders.lowers.size())
        .with_hint("kernels from 6.8 take up to 500");
  if (::chdir("/proc/self/fd") < 0) throw Error::from_errno("enter '/proc/self/fd'");
  const std::string target = fmt::format("{}/{}", folders.place.get(), kTarget);
  const int result = ::mount("overlay", target.c_str(), "overlay", MS_NODEV, options.c_str());
  const int number = errno;
  if (::fchdir(previous.get()) < 0) throw Error::from_errno("return to the previous folder");
  if (result < 0)
    throw Error::from_number(number, fmt::format("file system 'overlay': mount with '{}'", options));
  return sys::open_at(folders.place, kTarget, O_PATH | O_DIRECTORY | O_NOFOLLOW);
}

}  // namespace

void set_fixed_options(FsContext& context) {
  for (const auto& [key, value] : kFixedOptions) context.set_string(key, value);
}

UniqueFd mount_overlay(const OverlayFolders& folders, Durability durability, OverlayApi api) {
  clear_volatile_mark(folders.work);
  try {
    if (api == OverlayApi::one_string) return mount_one_string(folders, durability);
    std::optional<UniqueFd> mount = try_mount_per_layer(folders, durability);
    if (!mount) throw Error::make(Errc::unsupported, "this kernel's overlay does not take layers one by one");
    return std::move(*mount);
  } catch (const Error& error) {
    throw explained(error, folders);
  }
}

UniqueFd mount_overlay(const OverlayFolders& folders, Durability durability) {
  clear_volatile_mark(folders.work);
  try {
    if (std::optional<UniqueFd> mount = try_mount_per_layer(folders, durability)) return std::move(*mount);
    if (!folders.place)
      throw Error(Errc::unsupported, "this kernel's overlay takes no layers that are mounted nowhere")
          .with_hint("user namespaces need Linux 6.15; --userns host does without");
    return mount_one_string(folders, durability);
  } catch (const Error& error) {
    throw explained(error, folders);
  }
}

}  // namespace lay::runner
