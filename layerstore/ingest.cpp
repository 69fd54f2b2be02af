#include "layerstore/ingest.h"

#include <fcntl.h>

#include <utility>

#include "base/error.h"
#include "base/remove_tree.h"
#include "base/syscalls.h"
#include "store_file.h"

namespace lay::layerstore {

namespace {

constexpr const char* kFolder = "ingest";
/// Between mkdir and flock a new folder looks abandoned: makers pass the gate
/// shared, the sweeper exclusively.
constexpr const char* kGate = ".gate";

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

Ingest::~Ingest() {
  if (!lock_ || !lock_->fd()) return;  // moved from
  try {
    remove_tree(sys::open_dir(*root_, kFolder), name_);
  } catch (const Error&) {
    // The lock is dropped next, so that a sweep finds what is left.
  }
}

void Ingest::sweep(const UniqueFd& root) {
  const UniqueFd ingest = sys::open_dir(root, kFolder);
  std::vector<std::pair<std::string, FileLock>> abandoned;
  {
    const FileLock gate = FileLock::acquire(ingest, kGate, LockMode::exclusive);
    for (const std::string& name : list_names(ingest))
      if (auto lock = try_take(ingest, name)) abandoned.emplace_back(name, std::move(*lock));
  }
  // Removing takes time; the locks taken above keep a second sweep away meanwhile.
  for (const auto& [name, lock] : abandoned) remove_tree(ingest, name);
}

}  // namespace lay::layerstore
