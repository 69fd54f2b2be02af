#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/folder_names.h"
#include "base/make_folders.h"
#include "base/remove_tree.h"
#include "base/syscalls.h"
#include "container/container_json.h"
#include "container/leftovers.h"
#include "container/names.h"
#include "container/network_fit.h"
#include "container/run_lock.h"
#include "runner/container.h"
#include "runner/ended.h"
#include "runner/network.h"
#include "security/id_ranges.h"

namespace lay::runner {

namespace {

/// Beside the containers' folders in containers/; names that no id can have.
constexpr const char* kLock = ".lock";
constexpr const char* kNewPrefix = ".new-";  ///< being made; locked by its maker
constexpr const char* kGonePrefix =
    ".gone-";  ///< being removed; locked by its remover or by who still reads it

constexpr mode_t kFolderMode = 0700;
constexpr mode_t kAutoRemoveMode = kFolderMode | kAutoRemoveMark;

constexpr int kEndTries = 1000;
constexpr useconds_t kEndPause = 2000;  // microseconds

constexpr std::size_t kIdBytes = 32;
constexpr std::size_t kShortId = 12;

UniqueFd open_or_make(const UniqueFd& dir, const std::string& path) {
  sys::try_mkdir_at(dir, path, 0700);
  return sys::open_dir(dir, path);
}

/// Tells ext4 that the folders in `dir` have nothing to do with each other (chattr(1), attribute T): each
/// gets a region of the disk of its own, with room to grow. There it is made sooner, too: without a journal
/// ext4 reads, for each file it makes, every inode of the region that was deleted in the last five minutes.
/// Others do not know the hint.
void spread_folders_in(const UniqueFd& dir) {
  int flags = 0;
  if (::ioctl(dir.get(), FS_IOC_GETFLAGS, &flags) < 0) return;
  flags |= FS_TOPDIR_FL;
  ::ioctl(dir.get(), FS_IOC_SETFLAGS, &flags);
}

/// Like mkdir -p, for the user's own --root: its parents may be symlinks.
UniqueFd open_or_make_root(const std::string& path) {
  make_folders(path);
  return sys::open_at(sys::cwd(), path, O_RDONLY | O_DIRECTORY);
}

std::vector<std::string> entries_of(const UniqueFd& dir) {
  std::vector<std::string> names = list_names(dir);
  std::sort(names.begin(), names.end());
  return names;
}

bool is_id(std::string_view text) {
  return text.size() == 2 * kIdBytes && is_id_prefix(text);
}

void check_config(const ContainerConfig& config) {
  if (!is_container_name(config.name))
    throw Error::make(Errc::invalid, "'{}' is not a name for a container", printable(config.name))
        .with_hint("letters, digits, '_', '.' and '-', beginning with a letter or digit");
  if (!is_id(config.id))
    throw Error::make(Errc::invalid, "'{}' is not an id: 64 lower-case hexadecimal digits", config.id);
  if (config.lowers.empty())
    throw Error(Errc::invalid, "a container needs at least one layer beneath its upper")
        .with_hint("an image without layers has no program to run");
  for (const std::string& lower : config.lowers)
    if (!lower.starts_with('/'))
      throw Error::make(Errc::invalid, "the layer '{}' is not an absolute path", lower);
}

/// Whether an overlay would take the attribute for its own; those of a nested one are escaped by a further
/// "overlay.".
bool is_mark_of_overlay(std::string_view name) {
  for (const std::string_view prefix : {"trusted.overlay.", "user.overlay."})
    if (name.starts_with(prefix)) return !name.substr(prefix.size()).starts_with("overlay.");
  return false;
}

/// The upper's own attributes are those of "/" inside, so they have to be the image's.
void copy_root_attributes(const UniqueFd& upper, const std::string& lower) {
  const UniqueFd from = sys::open_at(sys::cwd(), lower, O_RDONLY | O_DIRECTORY);
  const struct ::stat info = sys::stat_of(from);
  sys::remove_acls(upper);
  if (::fchown(upper.get(), info.st_uid, info.st_gid) < 0) throw Error::from_errno("set owner of 'upper'");
  sys::fchmod(upper, info.st_mode & 07777);
  for (const std::string& name : sys::list_xattrs(from)) {
    if (is_mark_of_overlay(name)) continue;
    if (const auto value = sys::get_xattr(from, name)) sys::set_xattr(upper, name, *value);
  }
  sys::set_mtime_at(upper, ".", info.st_mtim);
}

void write_document(const UniqueFd& dir, const std::string& name, const Json& json) {
  AtomicFile file(dir, name);
  file.write(dump_json(json));
  file.publish();
}

/// The id that a name leads to; empty when there is no such name, or no more.
std::optional<std::string> id_of(const UniqueFd& names, const std::string& name) {
  return sys::try_readlink_at(names, name);
}

/// By id, name or unambiguous beginning of an id; throws invalid when several begin so. A name may look like
/// an id, but does not stand in the way of the container that has it.
std::optional<std::string> find_id(const UniqueFd& containers, const UniqueFd& names,
                                   const std::string& name) {
  if (is_id(name) && sys::try_stat_at(containers, name)) return name;
  if (is_container_name(name))
    if (const auto id = id_of(names, name); id && sys::try_stat_at(containers, *id)) return id;
  std::vector<std::string> matches;
  if (is_id_prefix(name))
    for (const std::string& entry : entries_of(containers))
      if (entry.starts_with(name)) matches.push_back(entry);
  if (matches.size() > 1)
    throw Error::make(Errc::invalid, "'{}' is the beginning of {} container ids", name, matches.size())
        .with_hint("give more digits of the id, or the name");
  if (matches.empty()) return std::nullopt;
  return matches.front();
}

std::vector<std::string> ids_in(const UniqueFd& containers) {
  std::vector<std::string> ids = entries_of(containers);
  std::erase_if(ids, [](const std::string& entry) { return !is_id(entry); });
  return ids;
}

/// The name that leads to `id`; empty when none does.
std::string name_of(const UniqueFd& names, const std::string& id) {
  for (const std::string& name : entries_of(names))
    if (id_of(names, name) == id) return name;
  return {};
}

Json read_document(const UniqueFd& dir, const std::string& name) {
  const UniqueFd fd = sys::open_at(dir, name, O_RDONLY | O_NOFOLLOW);
  return parse_json(sys::read_all(fd, kMaxJsonBytes), name);
}

/// The name of a container whose folder was never published, or is already renamed to be removed.
void forget_name(const UniqueFd& names, const std::string& id) {
  const std::string name = name_of(names, id);
  if (!name.empty()) sys::unlink_at(names, name);
}

/// Removes folders whose maker or remover was killed, or that were read when they were removed: nobody locks
/// them any more. The caller holds kLock.
void sweep(const UniqueFd& containers) {
  for (const std::string& entry : entries_of(containers)) {
    if (!entry.starts_with(kNewPrefix) && !entry.starts_with(kGonePrefix)) continue;
    auto fd = sys::try_open_at(containers, entry, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!fd || !FileLock::try_lock(std::move(*fd), LockMode::exclusive)) continue;
    forget_name(sys::open_dir(containers, kNames), entry.substr(entry.find('-') + 1));
    remove_tree(containers, entry);
  }
}

/// Renames the folder of a container. A file system whose quota is used up may refuse even that: then what
/// the container has written goes first.
void hide(const UniqueFd& containers, const std::string& id, const std::string& hidden) {
  try {
    sys::rename_at(containers, id, containers, hidden);
  } catch (const Error& error) {
    if (error.code() != Errc::no_space) throw;
    const UniqueFd folder = sys::open_dir(containers, id);
    sys::try_unlink_at(folder, "container.json");  // first: without its settings nobody starts or commits it
    remove_tree(folder, "upper");
    sys::rename_at(containers, id, containers, hidden);
  }
}

/// Makes a folder and locks it before anybody who sweeps can see it unlocked.
FileLock begin(const UniqueFd& containers, const std::string& folder, mode_t mode) {
  const FileLock store_lock = FileLock::acquire(containers, kLock, LockMode::exclusive);
  sweep(containers);
  sys::mkdir_at(containers, folder, mode);
  return FileLock::lock(sys::open_dir(containers, folder), LockMode::exclusive);
}

/// The end is written down a moment before the supervisor lets go: that is waited for, for it may not be said
/// of an ended container that it runs. Empty when it starts or runs.
std::optional<FileLock> lock_to_remove(const Container& container) {
  for (int attempt = 0;; ++attempt) {
    if (auto lock = container.try_lock()) return lock;
    if (attempt == kEndTries || container.state().status != Status::exited) break;
    ::usleep(kEndPause);
  }
  container.check_is_there();
  return std::nullopt;
}

/// Name and folder appear together under the lock; a name whose folder is missing was left by a crash.
void publish(const UniqueFd& containers, const UniqueFd& names, const Container& container) {
  const std::string& id = container.config().id;
  const std::string& name = container.config().name;
  const FileLock lock = FileLock::acquire(containers, kLock, LockMode::exclusive);
  if (const auto owner = id_of(names, name)) {
    if (sys::try_stat_at(containers, *owner))
      throw Error::make(Errc::busy, "the name '{}' is already in use by container {}", name,
                        owner->substr(0, kShortId))
          .with_hint(fmt::format("remove it with 'lay rm {}', or choose another name", name));
    sys::unlink_at(names, name);
  }
  sys::symlink_at(id, names, name);
  sys::rename_at(containers, kNewPrefix + id, containers, id);
}

}  // namespace

std::optional<ContainerStore::Folders> ContainerStore::open_folders() const {
  auto containers = sys::try_open_at(sys::cwd(), root_ + "/containers", O_RDONLY | O_DIRECTORY);
  if (!containers) return std::nullopt;
  UniqueFd names = open_or_make(*containers, kNames);
  return Folders{.containers = std::move(*containers), .names = std::move(names)};
}

ContainerStore::Folders ContainerStore::make_folders() const {
  const UniqueFd root = open_or_make_root(root_);
  const bool is_new = sys::try_mkdir_at(root, "containers", 0700);
  UniqueFd containers = sys::open_dir(root, "containers");
  if (is_new) spread_folders_in(containers);
  UniqueFd names = open_or_make(containers, kNames);
  return {.containers = std::move(containers), .names = std::move(names)};
}

Container ContainerStore::create(ContainerConfig config) const {
  if (config.id.empty()) config.id = sys::random_hex(kIdBytes);
  const bool chosen = !config.name.empty();
  if (!chosen) config.name = random_name();
  check_config(config);
  if (config.spec.hostname.empty()) config.spec.hostname = config.id.substr(0, kShortId);
  if (config.created == Time{}) config.created = std::chrono::system_clock::now();
  fit_to_network(config);

  const Folders folders = make_folders();
  const std::string temporary = kNewPrefix + config.id;
  const FileLock making =
      begin(folders.containers, temporary, config.auto_remove ? kAutoRemoveMode : kFolderMode);
  UniqueFd dir = sys::open_dir(folders.containers, temporary);
  try {
    for (const char* folder : {"upper", "work"}) sys::mkdir_at(dir, folder, 0700);
    copy_root_attributes(sys::open_dir(dir, "upper"), config.lowers.front());
    write_document(dir, "config.json", to_json(config.spec));
    write_document(dir, "container.json", to_json(config));
    const std::string path = root_ + "/containers/" + config.id;
    Container container(std::move(config), path, std::move(dir));
    container.first_lock_ = take_run_lock(container.dir_);
    container.on_disk_ = container.is_ephemeral() ? Container::OnDisk::yes : Container::OnDisk::not_yet;
    for (int attempt = 0;; ++attempt) {
      try {
        publish(folders.containers, folders.names, container);
        return container;
      } catch (const Error& error) {
        if (chosen || error.code() != Errc::busy || attempt == 20) throw;
        container.config_.name = random_name();
        write_document(container.dir_, "container.json", to_json(container.config_));
      }
    }
  } catch (...) {
    remove_tree(folders.containers, temporary);
    throw;
  }
}

Container ContainerStore::open(const Folders& folders, const std::string& id) const {
  UniqueFd dir = sys::open_dir(folders.containers, id);
  try {
    ContainerConfig config = parse_container_config(read_document(dir, "container.json"));
    config.spec = with_context("config.json", [&] { return parse_spec(read_document(dir, "config.json")); });
    Container container(std::move(config), root_ + "/containers/" + id, std::move(dir));
    // Whoever made it may have been killed before its first start, or not have been able to sync it
    const bool is_on_disk = container.is_ephemeral() || sys::try_stat_at(container.dir_, kStateFile);
    container.on_disk_ = is_on_disk ? Container::OnDisk::yes : Container::OnDisk::unknown;
    return container;
  } catch (const Error& error) {
    if (error.code() == Errc::not_found) throw;
    throw Error(Errc::corrupt, error.message())
        .add_context("container " + id.substr(0, kShortId))
        .with_hint(
            fmt::format("its settings are damaged; 'lay rm -f {}' removes it", id.substr(0, kShortId)));
  }
}

Container ContainerStore::open_damaged(const Folders& folders, const std::string& id,
                                       const Error& why) const {
  UniqueFd dir = sys::open_dir(folders.containers, id);
  ContainerConfig config;
  try {
    config = parse_container_config(read_document(dir, "container.json"));
  } catch (const Error&) {
    config.name = name_of(folders.names, id);
  }
  config.id = id;
  Container container(std::move(config), root_ + "/containers/" + id, std::move(dir));
  container.damage_ = why.message();
  return container;
}

Container ContainerStore::find(const std::string& name) const {
  if (auto found = try_find(name)) return std::move(*found);
  throw no_container(name);
}

std::optional<Container> ContainerStore::try_find(const std::string& name) const {
  const auto folders = open_folders();
  const auto id = folders ? find_id(folders->containers, folders->names, name) : std::nullopt;
  if (!id) return std::nullopt;
  try {
    return open(*folders, *id);
  } catch (const Error&) {
    if (sys::try_stat_at(folders->containers, *id)) throw;
    return std::nullopt;
  }
}

Container ContainerStore::find_even_damaged(const std::string& name) const {
  const auto folders = open_folders();
  const auto id = folders ? find_id(folders->containers, folders->names, name) : std::nullopt;
  if (!id) throw no_container(name);
  try {
    return open(*folders, *id);
  } catch (const Error& error) {
    if (!sys::try_stat_at(folders->containers, *id)) throw no_container(name);
    return open_damaged(*folders, *id, error);
  }
}

std::vector<Container> ContainerStore::list() const {
  std::vector<Container> containers = list_even_damaged();
  std::erase_if(containers, [](const Container& container) { return !container.damage().empty(); });
  return containers;
}

std::vector<Container> ContainerStore::list_damaged() const {
  std::vector<Container> containers = list_even_damaged();
  std::erase_if(containers, [](const Container& container) { return container.damage().empty(); });
  return containers;
}

std::vector<Container> ContainerStore::list_even_damaged() const {
  std::vector<Container> containers;
  const auto folders = open_folders();
  if (!folders) return containers;
  for (const std::string& id : ids_in(folders->containers)) {
    try {
      containers.push_back(open(*folders, id));
    } catch (const Error& error) {
      if (!sys::try_stat_at(folders->containers, id)) continue;  // removed meanwhile
      containers.push_back(open_damaged(*folders, id, error));
    }
  }
  return containers;
}

void ContainerStore::remove(const Container& container) const {
  const auto held = lock_to_remove(container);
  if (!held)
    throw Error::make(Errc::busy, "container '{}' is running", container.config().name)
        .with_hint(fmt::format("stop it first with 'lay stop {}', or remove it with 'lay rm -f'",
                               container.config().name));
  clear_leftovers(run_, container);
  sweep_networks(run_);
  sweep_ids(run_);
  take_out(container, *held).delete_files();
}

RemovedContainer ContainerStore::take_out(const Container& container, const FileLock&) const {
  const std::string& id = container.config().id;
  const std::string& name = container.config().name;
  RemovedContainer removed;
  auto [containers, names] = make_folders();
  removed.folder_ = kGonePrefix + id;
  const FileLock store_lock = FileLock::acquire(containers, kLock, LockMode::exclusive);
  hide(containers, id, removed.folder_);
  if (id_of(names, name) == id) sys::unlink_at(names, name);
  removed.removing_ = FileLock::try_lock(sys::open_dir(containers, removed.folder_), LockMode::exclusive);
  removed.containers_ = std::move(containers);
  return removed;
}

void RemovedContainer::delete_files() const {
  if (removing_) remove_tree(containers_, folder_);
}

void ContainerStore::sweep_removed() const {
  const auto folders = open_folders();
  if (!folders) return;
  const FileLock store_lock = FileLock::acquire(folders->containers, kLock, LockMode::exclusive);
  sweep(folders->containers);
}

}  // namespace lay::runner
