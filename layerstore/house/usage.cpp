#include "layerstore/usage.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/folder_names.h"
#include "base/syscalls.h"
#include "diff/inode.h"
#include "house/reachable.h"
#include "store/store_file.h"

namespace lay::layerstore {

namespace {

constexpr std::uint64_t kStatBlock = 512;  // unit of st_blocks, stat(2)

using FileKey = std::pair<dev_t, ino_t>;
/// Files by inode, so that one with two names counts once.
using Files = std::map<FileKey, std::uint64_t>;

void add_file(const struct ::stat& status, Files& files) {
  files.emplace(FileKey{status.st_dev, status.st_ino},
                static_cast<std::uint64_t>(status.st_blocks) * kStatBlock);
}

/// Nothing when the folder was removed meanwhile.
std::vector<FolderEntry> try_read_folder(const UniqueFd& folder) {
  try {
    return read_folder(folder);
  } catch (const Error& error) {
    if (error.code() != Errc::not_found) throw;
    return {};
  }
}

/// A folder on the way down, and what is still to be looked at in it.
struct Level {
  FileKey folder;
  std::vector<FolderEntry> entries;
};

Level enter(const UniqueFd& folder, Files& files) {
  const struct ::stat status = sys::stat_of(folder);
  add_file(status, files);
  return {.folder = {status.st_dev, status.st_ino}, .entries = try_read_folder(folder)};
}

/// One folder is open at a time and none is entered by recursion: a container decides how deep its own go.
void add_tree(const UniqueFd& top, Files& files) {
  UniqueFd folder = sys::dup_fd(top);
  std::vector<Level> levels;
  levels.push_back(enter(folder, files));
  for (;;) {
    if (levels.back().entries.empty()) {
      levels.pop_back();
      if (levels.empty()) return;
      auto above = sys::try_open_at(folder, "..", O_RDONLY | O_DIRECTORY);
      const struct ::stat status = sys::stat_of(above ? *above : folder);
      if (levels.back().folder != FileKey{status.st_dev, status.st_ino})
        return;  // it was moved or went meanwhile
      folder = std::move(*above);
      continue;
    }
    const FolderEntry entry = std::move(levels.back().entries.back());
    levels.back().entries.pop_back();
    const auto status = sys::try_stat_at(folder, entry.name);
    if (!status) continue;  // it went meanwhile
    if (!S_ISDIR(status->st_mode)) {
      add_file(*status, files);
    } else if (auto inner = sys::try_open_at(folder, entry.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)) {
      folder = std::move(*inner);
      levels.push_back(enter(folder, files));
    }
  }
}

std::uint64_t total(const Files& files) {
  std::uint64_t sum = 0;
  for (const auto& [key, size] : files) sum += size;
  return sum;
}

class Measure {
 public:
  explicit Measure(const Store& store) : store_(store), root_(sys::open_dir(sys::cwd(), store.path())) {}

  Files files_of(const Reachable& reachable) const {
    Files files;
    for (const Digest& digest : reachable.blobs)
      if (const auto status =
              sys::try_stat_at(root_, "blobs/" + digest.algorithm_name() + "/" + digest.hex()))
        add_file(*status, files);
    for (const Digest& diff_id : reachable.layers)
      if (const auto folder =
              sys::try_open_at(root_, "layers/" + diff_id.hex(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
        add_tree(*folder, files);
    return files;
  }

  Files all_files() const {
    Reachable everything;
    for (const Digest& digest : store_.blobs().list()) everything.blobs.insert(digest);
    for (const Digest& diff_id : store_.layers().list()) everything.layers.insert(diff_id);
    return files_of(everything);
  }

  std::uint64_t leftovers() const {
    Files files;
    const UniqueFd ingest = sys::open_dir(root_, "ingest");
    for (const std::string& name : list_names(ingest)) {
      const auto status = sys::try_stat_at(ingest, name);
      if (!status || !S_ISDIR(status->st_mode)) continue;  // the gate, or it went meanwhile
      if (const auto folder = sys::try_open_at(ingest, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
        add_tree(*folder, files);
    }
    return total(files);
  }

 private:
  const Store& store_;
  UniqueFd root_;
};

/// The files that no other image has.
std::uint64_t unique_size(const Files& own, const std::map<FileKey, std::set<Digest>>& users) {
  std::uint64_t sum = 0;
  for (const auto& [key, size] : own)
    if (users.at(key).size() == 1) sum += size;
  return sum;
}

}  // namespace

StoreUsage measure_usage(const Store& store, const InUse& in_use) {
  const Measure measure(store);
  std::map<Digest, Files> by_manifest;
  std::map<FileKey, std::set<Digest>> users;
  Reachable needed{.layers = in_use.layers};
  for (const Digest& manifest : in_use.manifests) mark_reachable_manifest(store.blobs(), manifest, needed);
  needed.blobs.insert(in_use.blobs.begin(), in_use.blobs.end());
  for (const Descriptor& root : store.images().roots()) {
    Reachable own;
    mark_reachable(store.blobs(), root, own);
    needed.blobs.insert(own.blobs.begin(), own.blobs.end());
    needed.layers.insert(own.layers.begin(), own.layers.end());
    const Files& files = by_manifest[root.digest] = measure.files_of(own);
    for (const auto& [key, size] : files) users[key].insert(root.digest);
  }

  StoreUsage usage;
  for (const NamedImage& named : store.images().list()) {
    const auto found = by_manifest.find(named.manifest.digest);
    if (found == by_manifest.end()) continue;  // it came after the look at the roots
    const Files& files = found->second;
    const std::uint64_t unique = unique_size(files, users);
    usage.images.push_back({.name = named.name,
                            .manifest = named.manifest.digest,
                            .shared = total(files) - unique,
                            .unique = unique});
  }
  Files rest = measure.all_files();
  const Files kept = in_use.everything ? rest : measure.files_of(needed);
  for (const auto& [key, size] : kept) rest.erase(key);
  usage.used = total(kept);
  usage.reclaimable = total(rest) + measure.leftovers();
  return usage;
}

std::uint64_t disk_size(const UniqueFd& folder) {
  Files files;
  add_tree(folder, files);
  return total(files);
}

}  // namespace lay::layerstore
