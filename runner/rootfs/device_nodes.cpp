#include "rootfs/device_nodes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/remove_tree.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "rootfs/mount_options.h"
#include "rootfs/mount_target.h"
#include "security/id_map.h"

namespace lay::runner {

namespace {

const std::string kKept = "/dev/.lay-devices";

constexpr std::array<std::pair<const char*, const char*>, 6> kLinks{{
    {"/proc/self/fd", "fd"},
    {"/proc/self/fd/0", "stdin"},
    {"/proc/self/fd/1", "stdout"},
    {"/proc/self/fd/2", "stderr"},
    {"/proc/kcore", "core"},
    {"pts/ptmx", "ptmx"},
}};

mode_t node_type(const Device& device) {
  if (device.type == "c" || device.type == "u") return S_IFCHR;
  if (device.type == "b") return S_IFBLK;
  if (device.type == "p") return S_IFIFO;
  throw Error::make(Errc::invalid, "device '{}' has the unknown type '{}'", printable(device.path),
                    printable(device.type));
}

void set_owner(const UniqueFd& folder, const std::string& name, const Device& device, const IdMap* ids) {
  if (ids == nullptr) return sys::chown_at(folder, name, device.uid, device.gid);
  sys::chown_at(folder, name, host_id(ids->uids, device.uid).value_or(ids->root_uid()),
                host_id(ids->gids, device.gid).value_or(ids->root_gid()));
}

/// One that is listed twice is the same both times, or an error.
void make_or_find(const UniqueFd& folder, const std::string& name, mode_t mode, dev_t number) {
  try {
    sys::mknod_at(folder, name, mode, number);
  } catch (const Error& error) {
    if (error.error_number() != EEXIST) throw;
    struct ::stat wanted {};
    wanted.st_mode = mode;
    wanted.st_rdev = S_ISFIFO(mode) ? 0 : number;
    if (!is_same_device(sys::stat_at(folder, name), wanted))
      throw Error(Errc::invalid, "linux.devices has another device of that path");
  }
}

/// At `path`, beneath /dev.
void make_node(const UniqueFd& dev, const std::string& path, const Device& device, const IdMap* ids) {
  const std::size_t slash = path.rfind('/');
  const std::string name = path.substr(slash + 1);
  const UniqueFd folder = make_target(dev, path.substr(4, slash - 4) + "/.", TargetKind::folder);
  const mode_t mode = device.file_mode & 07777;
  make_or_find(folder, name, node_type(device) | mode,
               ::makedev(static_cast<unsigned>(device.major), static_cast<unsigned>(device.minor)));
  set_owner(folder, name, device, ids);
  sys::chmod_at(folder, name, mode);  // the umask, and what chown took away
}

}  // namespace

void fill_dev(const UniqueFd& dev, const Spec& spec, const IdMap* ids) {
  std::size_t number = 0;
  std::set<std::string> names;
  for (const Device& device : spec.linux_.devices) {
    const std::string path = normalize_path(device.path);
    const std::string kept = kept_node(number++);
    if (path == "/dev/ptmx") continue;  // engines list the host's; the container's own is in its devpts
    names.insert(path);
    with_context(fmt::format("device '{}'", printable(device.path)),
                 [&] { make_node(dev, lies_in_dev(device) ? path : kept, device, ids); });
  }
  for (const auto& [target, name] : kLinks)
    if (!names.contains(fmt::format("/dev/{}", name))) sys::symlink_at(target, dev, name);
}

bool is_same_device(const struct ::stat& a, const struct ::stat& b) {
  return (a.st_mode & S_IFMT) == (b.st_mode & S_IFMT) && a.st_rdev == b.st_rdev;
}

std::string kept_node(std::size_t number) {
  return fmt::format("{}/{}", kKept, number);
}

bool lies_in_dev(const Device& device) {
  return lies_beneath(normalize_path(device.path), "/dev");
}

void remove_kept_nodes(const UniqueFd& root, const Spec& spec) {
  if (std::ranges::all_of(spec.linux_.devices, lies_in_dev)) return;
  if (const auto dev = sys::try_open_in_root(root, "/dev", O_RDONLY | O_DIRECTORY))
    remove_tree(*dev, kKept.substr(kKept.rfind('/') + 1));
}

}  // namespace lay::runner
