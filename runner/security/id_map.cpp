#include "security/id_map.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "process/handshake.h"
#include "process/process.h"
#include "process/process_steps.h"

namespace lay::runner {

namespace {

constexpr std::size_t kMaxExtents = 340;  // user_namespaces(7)

bool overlap(std::uint64_t a, std::uint64_t b, std::uint64_t a_size, std::uint64_t b_size) {
  return a < b + b_size && b < a + a_size;
}

void check_extent(const IdMapping& extent, const char* what) {
  constexpr std::uint64_t kEnd = UINT32_MAX;  // -1 is no id
  if (extent.size == 0 || extent.container_id + std::uint64_t{extent.size} > kEnd ||
      extent.host_id + std::uint64_t{extent.size} > kEnd)
    throw Error::make(Errc::invalid, "the {} map '{}:{}:{}' is empty or goes beyond the last id", what,
                      extent.container_id, extent.host_id, extent.size)
        .with_hint("INSIDE:HOST:COUNT, for instance 0:100000:65536");
}

void check_map(const std::vector<IdMapping>& map, const char* what) {
  if (map.size() > kMaxExtents)
    throw Error::make(Errc::invalid, "the {} map has {} parts, the kernel takes {}", what, map.size(),
                      kMaxExtents);
  for (auto one = map.begin(); one != map.end(); ++one) {
    check_extent(*one, what);
    for (auto other = map.begin(); other != one; ++other)
      if (overlap(one->container_id, other->container_id, one->size, other->size) ||
          overlap(one->host_id, other->host_id, one->size, other->size))
        throw Error::make(Errc::invalid, "two parts of the {} map overlap: '{}:{}:{}' and '{}:{}:{}'", what,
                          other->container_id, other->host_id, other->size, one->container_id, one->host_id,
                          one->size)
            .with_hint("each id, inside and on the host, belongs to one part");
  }
  if (!host_id(map, 0))
    throw Error::make(Errc::invalid, "the {} map says nothing of root, id 0 inside", what)
        .with_hint("a container is set up by its root: --uidmap 0:100000:65536");
}

std::string map_text(const std::vector<IdMapping>& map) {
  std::string text;
  for (const IdMapping& extent : map)
    text += fmt::format("{} {} {}\n", extent.container_id, extent.host_id, extent.size);
  return text;
}

void write_map(pid_t pid, const char* file, const std::vector<IdMapping>& map) {
  try {
    const UniqueFd fd = sys::open_at(sys::cwd(), fmt::format("/proc/{}/{}", pid, file), O_WRONLY);
    sys::write_all(fd, map_text(map));
  } catch (Error& error) {
    error.add_context("map the ids of a user namespace");
    if (error.error_number() == EPERM)
      error.with_hint("lay itself runs in a user namespace that has not all of these ids; give others");
    throw;
  }
}

ChildProcess clone_into_new_namespace() {
  try {
    auto child = ChildProcess::clone(CLONE_NEWUSER, nullptr);
    if (!child) {
      ::pause();  // killed as soon as the namespace is open
      ::_exit(0);
    }
    return std::move(*child);
  } catch (Error& error) {
    error.add_context("make a user namespace");
    if (error.error_number() == ENOSPC || error.error_number() == EPERM)
      error.with_hint(
          "sysctl user.max_user_namespaces, here and outside, limits them; --userns host needs none");
    throw;
  }
}

std::vector<IdMapping> read_map(pid_t pid, const char* file) {
  const UniqueFd fd = sys::open_at(sys::cwd(), fmt::format("/proc/{}/{}", pid, file), O_RDONLY);
  std::vector<IdMapping> map;
  for (const std::string& line : split(sys::read_all(fd, 64UL * 1024), '\n')) {
    std::vector<std::uint32_t> numbers;
    for (const std::string& word : split(line, ' '))
      if (const auto number = parse_number(word)) numbers.push_back(static_cast<std::uint32_t>(*number));
    if (numbers.size() == 3) map.push_back({numbers[0], numbers[1], numbers[2]});
  }
  return map;
}

}  // namespace

void check_id_maps(const Linux& spec) {
  check_map(spec.uid_mappings, "user");
  check_map(spec.gid_mappings, "group");
}

std::optional<std::uint32_t> host_id(std::span<const IdMapping> maps, std::uint32_t inside) {
  for (const IdMapping& extent : maps)
    if (inside >= extent.container_id && inside - extent.container_id < extent.size)
      return extent.host_id + (inside - extent.container_id);
  return std::nullopt;
}

IdMap make_id_map(std::vector<IdMapping> uids, std::vector<IdMapping> gids) {
  IdMap map{{.uids = std::move(uids), .gids = std::move(gids)}, {}};
  const ChildProcess holder = clone_into_new_namespace();
  const pid_t pid = number_in_proc(holder.pidfd());
  write_id_maps(pid, map);
  map.user_namespace = sys::open_at(sys::cwd(), fmt::format("/proc/{}/ns/user", pid), O_RDONLY);
  return map;
}

IdMap read_id_map(UniqueFd user_namespace) {
  const Handshake handshake = make_handshake();
  auto visitor = ChildProcess::clone(0, nullptr);
  if (!visitor)
    run_child(handshake.child, [&] {
      shut_others_out();
      set_namespaces(user_namespace, CLONE_NEWUSER);
      handshake.child.report_stage();
      ::pause();  // killed as soon as the maps are read
    });
  handshake.parent.wait_for_stage();
  const pid_t pid = number_in_proc(visitor->pidfd());
  IdMap map{id_maps_of(pid), std::move(user_namespace)};
  if (!host_id(map.uids, 0) || !host_id(map.gids, 0))
    throw Error(Errc::invalid, "the user namespace that is joined has no root, who sets up a container");
  return map;
}

void write_id_maps(pid_t pid, const IdMap& map) {
  write_map(pid, "uid_map", map.uids);
  write_map(pid, "gid_map", map.gids);
}

void become_root_inside() {
  if (::setgroups(0, nullptr) < 0) throw Error::from_errno("leave the host's groups");
  if (::setresgid(0, 0, 0) < 0) throw Error::from_errno("become group 0 of the user namespace");
  if (::setresuid(0, 0, 0) < 0) throw Error::from_errno("become root of the user namespace");
}

IdMaps id_maps_of(pid_t pid) {
  return {.uids = read_map(pid, "uid_map"), .gids = read_map(pid, "gid_map")};
}

void map_mount(const UniqueFd& mount, const IdMap& map, Recursion recursion) {
  ::mount_attr request{.attr_set = MOUNT_ATTR_IDMAP,
                       .attr_clr = 0,
                       .propagation = 0,
                       .userns_fd = static_cast<unsigned>(map.user_namespace.get())};
  const unsigned flags =
      unsigned{AT_EMPTY_PATH} | (recursion == Recursion::yes ? unsigned{AT_RECURSIVE} : 0U);
  if (::mount_setattr(mount.get(), "", flags, &request, sizeof request) == 0) return;
  Error error = Error::from_errno("translate the owners of a mount");
  if (error.error_number() == EINVAL)
    error.with_hint(
        "the file system there, or this kernel, has no id-mapped mounts; ext4, xfs, btrfs and tmpfs do");
  throw error;
}

UniqueFd clone_mapped(const std::string& path, const IdMap& map) {
  UniqueFd mount = clone_tree(sys::cwd(), path, Recursion::no);
  with_context(fmt::format("'{}'", printable(path)), [&] { map_mount(mount, map, Recursion::no); });
  return mount;
}

FileOwnerGuard::FileOwnerGuard(const IdMap& map) {
  const int bits = ::prctl(PR_GET_SECUREBITS);
  if (bits < 0) throw Error::from_errno("ask for the secure bits");
  securebits_ = static_cast<unsigned long>(bits);
  if (::prctl(PR_SET_SECUREBITS, securebits_ | SECBIT_NO_SETUID_FIXUP) < 0)
    throw Error::from_errno("keep all rights under another owner of files");
  ::setfsuid(map.root_uid());
  ::setfsgid(map.root_gid());
}

FileOwnerGuard::~FileOwnerGuard() {
  ::setfsuid(::geteuid());
  ::setfsgid(::getegid());
  ::prctl(PR_SET_SECUREBITS, securebits_);
}

}  // namespace lay::runner
