#include "rootfs/mounts.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/error.h"
#include "base/mount.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "process/namespaces.h"
#include "rootfs/copy_folder.h"
#include "rootfs/device_nodes.h"
#include "security/host_labels.h"
#include "security/id_map.h"

namespace lay::runner {

namespace {

constexpr std::string_view kDev = "/dev";
constexpr std::string_view kSharedMemory = "/dev/shm";

bool is_cgroup(const Mount& mount) {
  return mount.type == "cgroup" || mount.type == "cgroup2";
}

UniqueFd open_source(const Mount& mount, const MountOptions& options) {
  try {
    return clone_tree(sys::cwd(), mount.source, options.recursion);
  } catch (const Error& error) {
    if (error.error_number() != ENOENT) throw;
    throw no_volume_source(mount);
  }
}

void translate_owners(const PlannedMount& planned, const IdMap* ids) {
  const MountOptions& options = planned.options;
  if (options.owners == Owners::as_stored) return;
  if (options.owners == Owners::of_mount) {
    const IdMap own = make_id_map(planned.mount.uid_mappings, planned.mount.gid_mappings);
    return map_mount(planned.source, own, options.owners_recursion);
  }
  if (ids == nullptr)
    throw Error(Errc::invalid, "the option 'idmap' needs a user namespace of the container's own")
        .with_hint("--userns auto");
  map_mount(planned.source, *ids, options.owners_recursion);
}

bool changes_something(const MountAttributes& attributes) {
  return attributes.set != 0 || attributes.clear != 0 || attributes.propagation != 0;
}

/// `mount` is the root of a mount.
void apply_attributes(const UniqueFd& mount, const MountOptions& options, MountRules rules) {
  if (changes_something(options.recursive)) set_mount_attributes(mount, options.recursive, Recursion::yes);
  if (changes_something(options.attributes))
    set_mount_attributes(mount, options.attributes,
                         rules == MountRules::lay ? Recursion::yes : Recursion::no);
}

PlannedMount open_mount(const Mount& mount, const IdMap* ids, MountRules rules) {
  return with_context(fmt::format("mount '{}'", printable(mount.destination)), [&] {
    PlannedMount planned{.mount = mount, .target = normalize_path(mount.destination), .rules = rules};
    planned.options = parse_mount_options(mount, rules);
    if (planned.target == "/")
      throw Error::make(Errc::invalid, "nothing can be mounted over the root itself");
    if (!is_bind(mount) || planned.options.is_remount) return planned;
    planned.source = open_source(mount, planned.options);
    translate_owners(planned, ids);
    apply_attributes(planned.source, planned.options, rules);
    planned.kind = S_ISDIR(sys::stat_of(planned.source).st_mode) ? TargetKind::folder : TargetKind::file;
    return planned;
  });
}

Mount mount_of(const BoundFile& file, const IdMap* ids) {
  Mount mount{.destination = file.destination,
              .type = "bind",
              .source = file.source,
              .options = {"noexec", "rprivate"}};
  if (ids != nullptr) mount.options.emplace_back("idmap");
  return mount;
}

UniqueFd make_new(const std::string& type, const MountOptions& options, const std::string& source = {}) {
  FsContext context(type);
  if (!source.empty()) context.set_string("source", source);
  for (const auto& [key, value] : options.data) {
    if (value)
      context.set_string(key, *value);
    else
      context.set_flag(key);
  }
  UniqueFd mount = context.mount(options.attributes.set | options.recursive.set);
  for (const std::uint64_t propagation : {options.recursive.propagation, options.attributes.propagation})
    if (propagation != 0 && propagation != MS_PRIVATE)  // which it is already
      set_mount_attributes(mount, {.propagation = propagation}, Recursion::no);
  return mount;
}

bool is_asked_for(const MountOptions& options, std::string_view key) {
  return std::ranges::any_of(options.data, [&](const auto& option) { return option.first == key; });
}

/// Owner and mode of the folder that the tmpfs covers, but for what its own options say.
void take_identity(const UniqueFd& mount, const struct ::stat& covered, const MountOptions& options) {
  const bool has_owner = is_asked_for(options, "uid") || is_asked_for(options, "gid");
  if (!has_owner) sys::chown_at(mount, ".", covered.st_uid, covered.st_gid);
  if (!is_asked_for(options, "mode")) sys::chmod_at(mount, ".", covered.st_mode & 07777);
  sys::set_mtime_at(mount, ".", covered.st_mtim);
}

/// A tmpfs that begins with what it covers; one that is read-only becomes so when all is there. `covered` is
/// the folder in its place, which may have been made for it.
UniqueFd make_copy(MountOptions options, const UniqueFd& covered, bool is_of_image) {
  const std::uint64_t read_only = (options.attributes.set | options.recursive.set) & MOUNT_ATTR_RDONLY;
  options.attributes.set &= ~read_only;
  options.recursive.set &= ~read_only;
  UniqueFd mount = make_new("tmpfs", options);
  copy_folder(covered, mount);
  if (is_of_image) take_identity(mount, sys::stat_of(covered), options);
  if (read_only != 0) set_mount_attributes(mount, {.set = read_only}, Recursion::no);
  return mount;
}

/// A new one, or where that is refused the host's own, with all below it: a user namespace may
/// not uncover what is mounted there.
UniqueFd make_or_clone(const std::string& type, const MountOptions& options, const char* host_path) {
  try {
    return make_new(type, options);
  } catch (const Error& error) {
    if (error.error_number() != EPERM) throw;
    UniqueFd host = clone_tree(sys::cwd(), host_path, Recursion::yes);
    set_mount_attributes(host, options.attributes, Recursion::yes);
    return host;
  }
}

bool is_dev(const PlannedMount& planned) {
  return planned.mount.type == "tmpfs" && planned.target == kDev;
}

/// Where the host has its own: refused in a user namespace is a sysfs when the network namespace, which it
/// shows, is not its own, and a procfs when the pid namespace is not. The host's is then the right one.
const char* substitute_of(const std::string& type, const Spec& spec) {
  if (type == "sysfs") return "/sys";
  return type == "proc" && !has_namespace(spec, NamespaceType::pid) ? "/proc" : nullptr;
}

bool is_usual(const std::string& type) {
  return type == "proc" || type == "sysfs" || type == "tmpfs" || type == "devpts" || type == "mqueue";
}

/// linux.mountLabel, for all files of a file system that the mount makes. The kernel labels proc, sysfs and
/// cgroups itself.
void add_label(PlannedMount& planned, const std::string& label) {
  const std::string& type = planned.mount.type;
  const bool is_new = !is_bind(planned.mount) && !planned.options.is_remount;
  if (label.empty() || !is_new || type == "proc" || type == "sysfs" || is_cgroup(planned.mount)) return;
  auto& data = planned.options.data;
  if (type != "mqueue" && std::ranges::find(data, kLabelOption, [](const auto& option) {
                            return std::string_view(option.first);
                          }) == data.end())
    data.emplace_back(kLabelOption, label);
}

/// The mqueue of an IPC namespace is one, however often it is mounted: it takes a label as a file does.
UniqueFd make_mqueue(const MountOptions& options, const std::string& label) {
  UniqueFd mount = make_new("mqueue", options);
  if (!label.empty()) set_file_label(mount, label);
  return mount;
}

UniqueFd make_filesystem(const PlannedMount& planned, const Spec& spec) {
  const std::string& type = planned.mount.type;
  if (type == "mqueue") return make_mqueue(planned.options, spec.linux_.mount_label);
  if (planned.rules == MountRules::runtime_spec && !is_usual(type))
    return make_new(type, planned.options, planned.mount.source);
  if (!is_usual(type))
    throw Error::make(Errc::unsupported, "file system type '{}' cannot be mounted in a container",
                      printable(type))
        .with_hint("known are bind, proc, sysfs, tmpfs, devpts, mqueue and cgroup");
  if (const char* substitute = substitute_of(type, spec))
    return make_or_clone(type, planned.options, substitute);
  return make_new(type, planned.options);
}

bool is_same_place(const struct ::stat& a, const struct ::stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/// What lxcfs and its like put over files of /proc, as the other runtimes allow it: lay writes to none of
/// them.
bool is_shown_by_others(const PlannedMount& planned) {
  constexpr std::array<std::string_view, 11> kFiles{"/proc/cpuinfo",
                                                    "/proc/diskstats",
                                                    "/proc/meminfo",
                                                    "/proc/stat",
                                                    "/proc/swaps",
                                                    "/proc/uptime",
                                                    "/proc/loadavg",
                                                    "/proc/slabinfo",
                                                    "/proc/net/dev",
                                                    "/proc/sys/kernel/ns_last_pid",
                                                    "/proc/sys/crypto/fips_enabled"};
  return planned.rules == MountRules::runtime_spec && planned.kind == TargetKind::file &&
         std::ranges::find(kFiles, planned.target) != kFiles.end();
}

/// Mounts inside a procfs would redirect what programs, and lay itself, write to /proc.
void check_target(const UniqueFd& root, const UniqueFd& target, const PlannedMount& planned) {
  const TargetKind kind = planned.kind;
  const struct ::stat info = sys::stat_of(target);
  if (is_same_place(info, sys::stat_of(root)))
    throw Error::make(Errc::invalid, "the destination leads to the root itself");
  if (filesystem_magic(target) == PROC_SUPER_MAGIC && !is_shown_by_others(planned))
    throw Error::make(Errc::invalid, "nothing can be mounted inside /proc");
  if (S_ISDIR(info.st_mode) != (kind == TargetKind::folder))
    throw Error::make(Errc::invalid, "the source is a {}, but the destination is a {}",
                      kind == TargetKind::folder ? "folder" : "file",
                      S_ISDIR(info.st_mode) ? "folder" : "file");
}

/// "remount": other attributes for what is mounted there already. Options of the file system itself would be
/// for everybody who has it mounted.
void change_mount(const UniqueFd& root, const PlannedMount& planned) {
  if (!planned.options.data.empty())
    throw Error::make(Errc::unsupported, "'remount' with the option '{}' of the file system",
                      printable(planned.options.data.front().first))
        .with_hint("give it to the mount that makes it");
  const auto target = find_target(root, planned.target);
  if (!target || !is_mount_root(*target))
    throw Error(Errc::not_found, "'remount', but nothing is mounted there");
  MountOptions options = planned.options;
  const bool has_propagation = std::ranges::any_of(
      planned.mount.options, [](const std::string& option) { return is_propagation(option); });
  if (!has_propagation) options.recursive.propagation = 0;
  apply_attributes(*target, options, planned.rules);
}

bool is_for_groups(const PlannedMount& planned) {
  return is_cgroup(planned.mount);
}

/// The groups are mounted when the process is in them, behind all else: so there is one such mount in a
/// bundle.
void check_cgroup_mount(const std::vector<PlannedMount>& mounts) {
  const auto first = std::ranges::find_if(mounts, is_for_groups);
  if (first == mounts.end()) return;
  const auto other = std::find_if(std::next(first), mounts.end(), is_for_groups);
  if (other != mounts.end())
    throw Error::make(Errc::unsupported, "mount '{}': cgroups are mounted once, at '{}'",
                      printable(other->mount.destination), printable(first->mount.destination));
}

/// Behind what may be mounted above their places.
void add_distant_devices(std::vector<PlannedMount>& mounts, const Spec& spec) {
  std::size_t number = 0;
  for (const Device& device : spec.linux_.devices) {
    const std::size_t own = number++;
    if (lies_in_dev(device)) continue;
    if (std::ranges::none_of(mounts, is_dev))
      throw Error::make(Errc::unsupported,
                        "device '{}' does not lie in /dev, which is no tmpfs of the container's own",
                        printable(device.path))
          .with_hint("mount a tmpfs on /dev");
    mounts.push_back({.mount = {.destination = device.path, .type = "bind"},
                      .target = normalize_path(device.path),
                      .kind = TargetKind::file,
                      .node = kept_node(own)});
  }
}

/// "If a file already exists at path that does not match the requested device, the runtime MUST generate an
/// error": config-linux.md, "Devices". An empty one is what such mounts are made over.
void attach_node(const UniqueFd& root, const PlannedMount& planned, const UniqueFd& target) {
  const UniqueFd node = sys::open_in_root(root, planned.node, O_PATH | O_NOFOLLOW);
  const struct ::stat there = sys::stat_of(target);
  if (!(S_ISREG(there.st_mode) && there.st_size == 0) && !is_same_device(there, sys::stat_of(node)))
    throw Error(Errc::invalid, "a file is there already, and not that device");
  attach_mount(clone_tree(node, Recursion::no), target);
}

}  // namespace

Error no_volume_source(const Mount& mount) {
  return Error::make(Errc::not_found, "volume source '{}' does not exist", printable(mount.source))
      .with_hint(fmt::format("make it first: mkdir -p '{}'", printable(mount.source)));
}

std::vector<PlannedMount> open_mounts(const Spec& spec, const RootfsPlan& plan) {
  std::vector<PlannedMount> mounts;
  const MountRules rules = plan.folder.empty() ? MountRules::lay : MountRules::runtime_spec;
  for (const Mount& mount : spec.mounts) {
    mounts.push_back(open_mount(mount, plan.overlay.ids, rules));
    add_label(mounts.back(), spec.linux_.mount_label);
  }
  if (plan.shared_memory != nullptr)
    for (PlannedMount& planned : mounts)
      if (planned.target == kSharedMemory && !planned.source)
        planned.source = copy_shared_memory(*plan.shared_memory);
  for (const BoundFile& file : plan.files) {
    PlannedMount planned = open_mount(mount_of(file, plan.overlay.ids), plan.overlay.ids, MountRules::lay);
    const bool is_taken = std::any_of(mounts.begin(), mounts.end(), [&](const PlannedMount& mount) {
      return mount.target == planned.target;
    });
    if (!is_taken) mounts.push_back(std::move(planned));
  }
  if (rules == MountRules::runtime_spec) check_cgroup_mount(mounts);
  add_distant_devices(mounts, spec);
  return mounts;
}

void prepare_dev(PlannedMount& planned, const Spec& spec, const IdMap& ids) {
  if (!is_dev(planned)) return;
  with_context(fmt::format("mount '{}'", printable(planned.mount.destination)), [&] {
    MountOptions options = planned.options;
    options.data.emplace_back("uid", fmt::format("{}", ids.root_uid()));
    options.data.emplace_back("gid", fmt::format("{}", ids.root_gid()));
    planned.source = make_new(planned.mount.type, options);
    fill_dev(planned.source, spec, &ids);
  });
}

bool waits_for_cgroups(const std::vector<PlannedMount>& mounts, const PlannedMount& planned) {
  if (planned.rules != MountRules::runtime_spec) return false;
  const auto groups = std::ranges::find_if(mounts, is_for_groups);
  return groups != mounts.end() && &planned > &*groups && lies_beneath(planned.target, groups->target);
}

std::vector<const PlannedMount*> overlay_targets(const std::vector<PlannedMount>& mounts) {
  std::vector<const PlannedMount*> result;
  for (auto mount = mounts.begin(); mount != mounts.end(); ++mount) {
    const bool is_covered = std::any_of(mounts.begin(), mount, [&](const PlannedMount& earlier) {
      return lies_beneath(mount->target, earlier.target);
    });
    if (!is_covered) result.push_back(&*mount);
  }
  return result;
}

void place_mount(const UniqueFd& root, const PlannedMount& planned, const Spec& spec) {
  with_context(fmt::format("mount '{}'", printable(planned.mount.destination)), [&] {
    if (planned.options.is_remount) return change_mount(root, planned);
    const bool is_there = planned.options.copies_up && find_target(root, planned.target);
    const UniqueFd target = make_target(root, planned.target, planned.kind);
    check_target(root, target, planned);
    if (is_cgroup(planned.mount)) return;  // mount_cgroups, once there is a cgroup namespace
    if (planned.source) return attach_mount(planned.source, target);
    if (!planned.node.empty()) return attach_node(root, planned, target);
    const UniqueFd mount = planned.options.copies_up ? make_copy(planned.options, target, is_there)
                                                     : make_filesystem(planned, spec);
    attach_mount(mount, target);
    if (is_dev(planned)) fill_dev(mount, spec, nullptr);
  });
}

}  // namespace lay::runner
