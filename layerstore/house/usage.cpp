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
#include "layerstore/damage.h"
#include "layerstore/ingest.h"
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
    for (const std::string& name : Ingest::list_abandoned(root_)) {
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

/// What the entries of index.json and containers lead to.
struct Roots {
  std::map<Digest, Files> by_manifest;
  std::map<FileKey, std::set<Digest>> users;
  Reachable needed;
  std::vector<Error> damages;
};

template <class Mark>
void mark_or_note(std::vector<Error>& damages, Mark&& mark) {
  try {
    mark();
  } catch (const Error& error) {
    if (!is_damage(error)) throw;
    damages.push_back(error);
  }
}

Roots find_roots(const Store& store, const InUse& in_use, const Measure& measure) {
  Roots roots{.needed = {.layers = in_use.layers}};
  for (const Digest& manifest : in_use.manifests)
    mark_or_note(roots.damages, [&] {
      with_context("image of a container",
                   [&] { mark_reachable_manifest(store.blobs(), manifest, roots.needed); });
    });
  for (const Descriptor& root : store.images().roots())
    mark_or_note(roots.damages, [&] {
      Reachable own;
      mark_reachable_entry(store.blobs(), root, own);
      roots.needed.blobs.insert(own.blobs.begin(), own.blobs.end());
      roots.needed.layers.insert(own.layers.begin(), own.layers.end());
      const Files& files = roots.by_manifest[root.digest] = measure.files_of(own);
      for (const auto& [key, size] : files) roots.users[key].insert(root.digest);
    });
  return roots;
}

std::vector<ImageUsage> list_images(const Store& store, const Roots& roots) {
  std::vector<ImageUsage> images;
  for (const NamedImage& named : store.images().list()) {
    const auto found = roots.by_manifest.find(named.manifest.digest);
    if (found == roots.by_manifest.end()) continue;  // damaged, or it came after the look at the roots
    const Files& files = found->second;
    const std::uint64_t unique = unique_size(files, roots.users);
    images.push_back({.name = named.name,
                      .manifest = named.manifest.digest,
                      .shared = total(files) - unique,
                      .unique = unique});
  }
  return images;
}

/// Takes the files out of `rest` that are among `taken`, and returns their size.
std::uint64_t take_out(Files& rest, const Files& taken) {
  std::uint64_t sum = 0;
  for (const auto& [key, size] : taken)
    if (const auto found = rest.find(key); found != rest.end()) sum += rest.extract(found).mapped();
  return sum;
}

}  // namespace

StoreUsage measure_usage(const Store& store, const InUse& in_use) {
  const Measure measure(store);
  Roots roots = find_roots(store, in_use, measure);
  StoreUsage usage{.images = list_images(store, roots), .damages = std::move(roots.damages)};
  const bool is_all_needed = in_use.everything || !usage.damages.empty();
  Files rest = measure.all_files();
  usage.used = take_out(rest, is_all_needed ? rest : measure.files_of(roots.needed));
  usage.held = take_out(rest, measure.files_of({.blobs = in_use.blobs, .layers = {}}));
  usage.reclaimable = total(rest) + measure.leftovers();
  return usage;
}

std::uint64_t disk_size(const UniqueFd& folder) {
  Files files;
  add_tree(folder, files);
  return total(files);
}

}  // namespace lay::layerstore
