#include "layerstore/ingest.h"

#include <fcntl.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/folder_names.h"
#include "base/remove_tree.h"
#include "base/syscalls.h"
#include "store/store_file.h"

namespace lay::layerstore {

namespace {

constexpr const char* kFolder = "ingest";
/// Between mkdir and flock a new folder looks abandoned: makers pass the gate
/// shared, the sweeper exclusively.
constexpr const char* kGate = ".gate";
/// Begins the names of folders that are kept for a resume.
constexpr const char* kKept = "part.";
constexpr std::chrono::hours kWrongClock{1};
/// A killed load leaves thousands of folders, and each lock is an open file: few processes may have 1024.
constexpr std::size_t kSweptTogether = 64;

/// A time in the future says that a clock was wrong, and not how old it is.
bool is_older_than(std::chrono::seconds age, std::time_t changed) {
  const auto passed = std::chrono::system_clock::now() - std::chrono::system_clock::from_time_t(changed);
  return passed >= age || passed < -kWrongClock;
}

/// Whether a sweep leaves the folder to whoever resumes it. What it holds is touched last.
bool is_kept(const UniqueFd& ingest, const std::string& name, std::chrono::seconds kept_for) {
  if (!name.starts_with(kKept)) return false;
  const auto folder = sys::try_open_at(ingest, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!folder) return true;  // gone just now
  const std::vector<std::string> files = list_names(*folder);
  return std::any_of(files.begin(), files.end(), [&](const std::string& file) {
    const auto info = sys::try_stat_at(*folder, file);
    return info && !is_older_than(kept_for, info->st_mtime);
  });
}

/// The folder's lock when its maker is dead.
std::optional<FileLock> try_take(const UniqueFd& ingest, const std::string& name) {
  const auto info = sys::try_stat_at(ingest, name);
  if (!info || !S_ISDIR(info->st_mode)) return std::nullopt;
  auto folder = sys::try_open_at(ingest, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!folder) return std::nullopt;  // its maker finished just now
  return FileLock::try_lock(std::move(*folder), LockMode::exclusive);
}

}  // namespace

Ingest::Ingest(const UniqueFd& root, std::string name, FileLock lock)
    : root_(&root), name_(std::move(name)), lock_(std::move(lock)) {}

Ingest Ingest::begin(const UniqueFd& root) {
  const UniqueFd ingest = sys::open_dir(root, kFolder);
  const FileLock gate = FileLock::acquire(ingest, kGate, LockMode::shared);
  std::string name = sys::random_hex(16);
  sys::mkdir_at(ingest, name, 0700);
  auto lock = FileLock::try_lock(sys::open_dir(ingest, name), LockMode::exclusive);
  if (!lock) throw Error::make(Errc::busy, "lock 'ingest/{}': somebody else holds it", name);
  return Ingest(root, std::move(name), std::move(*lock));
}

std::optional<Ingest> Ingest::resume(const UniqueFd& root, const std::string& name) {
  const UniqueFd ingest = sys::open_dir(root, kFolder);
  const FileLock gate = FileLock::acquire(ingest, kGate, LockMode::shared);
  std::string folder = kKept + name;
  sys::try_mkdir_at(ingest, folder, 0700);
  auto dir = sys::try_open_at(ingest, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!dir) return std::nullopt;  // who had it has removed it in this moment
  auto lock = FileLock::try_lock(std::move(*dir), LockMode::exclusive);
  // Whoever held it a moment ago may have removed it since it was opened.
  const auto there = sys::try_stat_at(ingest, folder);
  if (!lock || !there || there->st_ino != sys::stat_of(lock->fd()).st_ino) return std::nullopt;
  return Ingest(root, std::move(folder), std::move(*lock));
}

std::optional<UniqueFd> Ingest::find_kept(const UniqueFd& root, const std::string& name) {
  return sys::try_open_at(sys::open_dir(root, kFolder), kKept + name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

Ingest::~Ingest() {
  if (!lock_ || !lock_->fd()) return;  // moved from
  try {
    remove_tree(sys::open_dir(*root_, kFolder), name_);
  } catch (const Error&) {
    // The lock is dropped next, so that a sweep finds what is left.
  }
}

void Ingest::sweep(const UniqueFd& root, std::chrono::seconds kept_for) {
  const UniqueFd ingest = sys::open_dir(root, kFolder);
  const std::vector<std::string> names = list_names(ingest);
  for (auto next = names.begin(); next != names.end();) {
    std::vector<std::pair<std::string, FileLock>> abandoned;
    {
      const FileLock gate = FileLock::acquire(ingest, kGate, LockMode::exclusive);
      for (; next != names.end() && abandoned.size() < kSweptTogether; ++next)
        if (!is_kept(ingest, *next, kept_for))
          if (auto lock = try_take(ingest, *next)) abandoned.emplace_back(*next, std::move(*lock));
    }
    // Removing takes time; the locks taken above keep a second sweep away meanwhile.
    for (const auto& [name, lock] : abandoned) remove_tree(ingest, name);
  }
}

std::vector<std::string> Ingest::list_abandoned(const UniqueFd& root) {
  const UniqueFd ingest = sys::open_dir(root, kFolder);
  std::vector<std::string> names = list_names(ingest);
  const FileLock gate = FileLock::acquire(ingest, kGate, LockMode::exclusive);
  std::erase_if(names, [&](const std::string& name) { return !try_take(ingest, name); });
  return names;
}

}  // namespace lay::layerstore
