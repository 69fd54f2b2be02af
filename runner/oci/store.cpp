#include "oci/store.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/folder_names.h"
#include "base/make_folders.h"
#include "base/remove_tree.h"
#include "base/syscalls.h"
#include "cgroup/freezer.h"
#include "oci/bundle.h"
#include "oci/first_process.h"
#include "spec/json_fields.h"

namespace lay::runner {

namespace {

constexpr const char* kRecord = "state.json";
constexpr const char* kConfig = "config.json";
constexpr const char* kLock = "lock";
constexpr std::size_t kLongestId = 255;

/// The characters that runc takes.
void check_id(const std::string& id) {
  const bool is_good = !id.empty() && id.size() <= kLongestId && id != "." && id != ".." &&
                       std::ranges::all_of(id, [](char c) {
                         return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                                c == '_' || c == '+' || c == '-' || c == '.';
                       });
  if (!is_good)
    throw Error::make(Errc::invalid, "'{}' is no container id", printable(id))
        .with_hint("letters, digits, '_', '+', '-' and '.'");
}

Error no_such(const std::string& id) {
  return Error::make(Errc::not_found, "container '{}' does not exist: container does not exist", id);
}

OciRecord parse_record(const std::string& text) {
  const Json json = parse_json(text, kRecord);
  const auto created = parse_time(json_string(json, "created"));
  return {.id = json_string(json, "id"),
          .bundle = json_string(json, "bundle"),
          .created = created.value_or(Time()),
          .pid = static_cast<pid_t>(json_int(json, "pid")),
          .pid_start_time = static_cast<std::uint64_t>(json_int(json, "pidStartTime")),
          .boot_id = json_string(json, "bootId"),
          .is_made = json_bool_or(json, "isMade", false),
          .has_cgroups = json_bool_or(json, "hasCgroups", false),
          .cgroup_parent = json_string_or(json, "cgroupParent", {}),
          .cgroup_name = json_string_or(json, "cgroupName", {}),
          .has_late_hooks = json_bool_or(json, "hasLateHooks", false),
          .rootfs = json_string_or(json, "rootfs", {}),
          .annotations = string_map(json, "annotations"),
          .seccomp_agent = json_string_or(json, "seccompAgent", {}),
          .has_own_keyring = json_bool_or(json, "hasOwnKeyring", true),
          .resctrl_folders = json_strings(json, "resctrlFolders"),
          .resctrl_made = json_strings(json, "resctrlMade"),
          .mount_namespace = json_string_or(json, "mountNamespace", {}),
          .root_mount = static_cast<std::uint64_t>(json_int_or(json, "rootMount", 0))};
}

std::string read_file(const UniqueFd& dir, const char* name) {
  return sys::read_all(sys::open_at(dir, name, O_RDONLY | O_NOFOLLOW), kMaxJsonBytes);
}

UniqueFd open_root(const OciStore& store) {
  return sys::open_dir(sys::cwd(), store.root());
}

}  // namespace

std::string_view to_string(OciStatus status) {
  switch (status) {
    case OciStatus::creating:
      return "creating";
    case OciStatus::created:
      return "created";
    case OciStatus::running:
      return "running";
    case OciStatus::paused:
      return "paused";
    case OciStatus::stopped:
      return "stopped";
  }
  return "";
}

Spec OciContainer::spec() const {
  return parse_bundle_config(parse_json(read_file(dir_, kConfig), kConfig));
}

OciStatus OciContainer::status() const {
  if (!record_.is_made && !FileLock::try_acquire(dir_, kLock, LockMode::shared)) return OciStatus::creating;
  return settled_status();
}

OciStatus OciContainer::settled_status() const {
  if (!open_first_process(record_)) return OciStatus::stopped;
  if (are_frozen(groups_of(*this))) return OciStatus::paused;
  return is_waiting(dir_) ? OciStatus::created : OciStatus::running;
}

Json OciContainer::state() const {
  return make_state(record_, status());
}

Json OciContainer::make_state(const OciRecord& record, OciStatus status) {
  Json state{{"ociVersion", kRuntimeSpecVersion}, {"id", record.id},
             {"status", to_string(status)},       {"pid", status == OciStatus::stopped ? 0 : record.pid},
             {"bundle", record.bundle},           {"created", format_time(record.created)}};
  if (!record.annotations.empty()) state["annotations"] = record.annotations;
  if (!record.rootfs.empty()) state["rootfs"] = record.rootfs;
  return state;
}

OciContainer OciStore::find(const std::string& id) const {
  check_id(id);
  const auto root = sys::try_open_at(sys::cwd(), root_, O_RDONLY | O_DIRECTORY);
  if (!root) throw no_such(id);
  auto dir = sys::try_open_at(*root, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!dir) throw no_such(id);
  return with_context(fmt::format("container '{}'", id), [&] {
    const auto text = sys::try_open_at(*dir, kRecord, O_RDONLY | O_NOFOLLOW);
    if (!text) return OciContainer({.id = id}, std::move(*dir));  // create was killed at its beginning
    return OciContainer(parse_record(sys::read_all(*text, kMaxJsonBytes)), std::move(*dir));
  });
}

std::vector<OciContainer> OciStore::list() const {
  std::vector<OciContainer> containers;
  const auto root = sys::try_open_at(sys::cwd(), root_, O_RDONLY | O_DIRECTORY);
  if (!root) return containers;
  for (const std::string& id : list_names(*root)) {
    try {
      containers.push_back(find(id));
    } catch (const Error&) {
      // removed meanwhile, or not lay's
    }
  }
  return containers;
}

OciFolder::OciFolder(const OciStore& store, const std::string& id) : id_(id) {
  check_id(id);
  make_folders(store.root());
  root_ = open_root(store);
  if (!sys::try_mkdir_at(root_, id, 0700))
    throw Error::make(Errc::exists, "container with id exists: '{}'", id)
        .with_hint(fmt::format("another id, or 'delete {}'", id));
  dir_ = sys::open_dir(root_, id);
  lock_.emplace(FileLock::acquire(dir_, kLock, LockMode::exclusive));
}

OciFolder::~OciFolder() {
  if (is_kept_) return;
  try {
    remove_tree(root_, id_);
  } catch (const Error&) {
    // delete takes it
  }
}

CgroupName cgroup_of(const OciRecord& record) {
  return {record.cgroup_name, record.cgroup_parent};
}

std::vector<CgroupGroup> groups_of(const OciContainer& container) {
  if (!container.record().has_cgroups) return {};
  return find_groups(cgroup_of(container.record()));
}

std::string config_of(const OciContainer& container) {
  return read_file(container.dir(), kConfig);
}

void save_record(const UniqueFd& dir, const OciRecord& record) {
  const Json json{{"id", record.id},
                  {"bundle", record.bundle},
                  {"created", format_time(record.created)},
                  {"pid", record.pid},
                  {"pidStartTime", record.pid_start_time},
                  {"bootId", record.boot_id},
                  {"isMade", record.is_made},
                  {"hasCgroups", record.has_cgroups},
                  {"cgroupParent", record.cgroup_parent},
                  {"cgroupName", record.cgroup_name},
                  {"hasLateHooks", record.has_late_hooks},
                  {"rootfs", record.rootfs},
                  {"annotations", record.annotations},
                  {"seccompAgent", record.seccomp_agent},
                  {"hasOwnKeyring", record.has_own_keyring},
                  {"resctrlFolders", record.resctrl_folders},
                  {"resctrlMade", record.resctrl_made},
                  {"mountNamespace", record.mount_namespace},
                  {"rootMount", record.root_mount}};
  AtomicFile file(dir, kRecord);
  file.write(dump_json(json));
  file.publish();
}

LockedOci lock_oci(const OciStore& store, const std::string& id) {
  for (;;) {
    const OciContainer before = store.find(id);
    FileLock lock = FileLock::acquire(before.dir(), kLock, LockMode::exclusive);
    OciContainer now = store.find(id);
    if (sys::stat_of(before.dir()).st_ino == sys::stat_of(now.dir()).st_ino)
      return {.lock = std::move(lock), .container = std::move(now)};
  }
}

void run_poststop_hooks(const Hooks& hooks, const OciRecord& record, const OciWarn& warn) {
  for (const Hook& hook : hooks.poststop) {
    try {
      run_hooks({hook}, "poststop", OciContainer::make_state(record, OciStatus::stopped));
    } catch (const Error& error) {
      if (warn) warn(error.message());
    }
  }
}

void remove_oci_folder(const OciStore& store, const std::string& id) {
  remove_tree(open_root(store), id);
}

}  // namespace lay::runner
