#include "rootfs/device_nodes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <array>
#include <utility>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "rootfs/mount_options.h"
#include "rootfs/mount_target.h"
#include "security/id_map.h"

namespace lay::runner {

namespace {

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

void make_node(const UniqueFd& dev, const Device& device, const IdMap* ids) {
  const std::string path = normalize_path(device.path);
  if (!lies_beneath(path, "/dev"))
    throw Error::make(Errc::invalid, "device '{}' does not lie in /dev", printable(device.path));
  const std::size_t slash = path.rfind('/');
  const std::string name = path.substr(slash + 1);
  const UniqueFd folder = make_target(dev, path.substr(4, slash - 4) + "/.", TargetKind::folder);
  const mode_t mode = device.file_mode & 07777;
  sys::mknod_at(folder, name, node_type(device) | mode,
                ::makedev(static_cast<unsigned>(device.major), static_cast<unsigned>(device.minor)));
  set_owner(folder, name, device, ids);
  sys::chmod_at(folder, name, mode);  // the umask, and what chown took away
}

}  // namespace

void fill_dev(const UniqueFd& dev, const Spec& spec, const IdMap* ids) {
  for (const Device& device : spec.linux_.devices)
    with_context(fmt::format("device '{}'", printable(device.path)), [&] { make_node(dev, device, ids); });
  for (const auto& [target, name] : kLinks) sys::symlink_at(target, dev, name);
}

}  // namespace lay::runner
