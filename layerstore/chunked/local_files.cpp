#include "chunked/local_files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "base/cancel.h"
#include "base/error.h"
#include "base/syscalls.h"
#include "chunked/local_frames.h"
#include "diff/inode.h"
#include "erofs/erofs_reader.h"
#include "layers/layer_image.h"

namespace lay::layerstore {

namespace {

std::uint64_t hash(std::string_view text) {
  return std::hash<std::string_view>{}(text);
}

/// Of the last component and the size.
std::uint64_t name_key(std::string_view path, std::uint64_t size) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return hash(std::string(name) + '/' + std::to_string(size));
}

bool has(const std::vector<std::uint64_t>& sorted, std::uint64_t key) {
  return std::binary_search(sorted.begin(), sorted.end(), key);
}

void sort_once(std::vector<std::uint64_t>& keys) {
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
}

/// Those of images whose name begins with `like` first.
std::vector<Digest> layers_of(const Store& store, const std::string& like) {
  std::vector<NamedImage> images = store.images().list();
  std::stable_partition(images.begin(), images.end(), [&](const NamedImage& image) {
    return !like.empty() && image.name.starts_with(like);
  });
  std::vector<Digest> layers;
  std::set<Digest> seen;
  for (const NamedImage& named : images) {
    try {
      for (const Digest& diff_id : store.load(named.manifest).config.diff_ids)
        if (layers.size() < kMaxSources && store.layers().has(diff_id) && seen.insert(diff_id).second)
          layers.push_back(diff_id);
    } catch (const Error&) {  // what cannot be read is of no use here
      continue;
    }
  }
  return layers;
}

}  // namespace

LocalFiles::LocalFiles(const Store& store, const Spill& spill)
    : store_(store),
      spill_(spill),
      memory_(spill),
      found_(memory_),
      by_path_(memory_),
      by_name_(memory_),
      by_size_(memory_) {}

void LocalFiles::want(std::string_view path, std::uint64_t size) {
  if (!path.empty()) paths_.push_back(hash(path));
  sizes_.push_back(size);
}

void LocalFiles::look(const std::string& like) {
  sort_once(paths_);
  sort_once(sizes_);
  for (const Digest& diff_id : layers_of(store_, like)) {
    throw_if_cancelled();
    try {
      look_into(diff_id);
    } catch (const Error& error) {
      if (error.code() == Errc::no_space || error.code() == Errc::cancelled) throw;
    }
  }
}

void LocalFiles::look_into(const Digest& diff_id) {
  OpenLayer layer = store_.layers().open(diff_id);
  const bool is_tree = layer.form == LayerForm::tree;
  layers_.push_back(is_tree ? sys::open_dir(sys::cwd(), layer.tree_path) : std::move(layer.tar));
  if (is_tree)
    look_into_tree(layers_.back());
  else
    look_into_image(layer);
}

void LocalFiles::look_into_image(const OpenLayer& layer) {
  SpillMemory memory(spill_);
  const std::string_view image = load_layer_image(layer.image, memory);
  const auto tar_size = static_cast<std::uint64_t>(sys::stat_of(layers_.back()).st_size);
  const LayerTree tree = read_erofs(image, tar_size, spill_, &memory);
  walk_tree(tree, [&](InodeIndex index, InodeIndex, const std::string& path) {
    const LayerInode& inode = tree.inodes[index];
    if (S_ISREG(inode.mode) && inode.size > 0 && !inode.extras().regions)
      note(path, {.size = inode.size, .offset = inode.data_offset});
  });
}

void LocalFiles::look_into_tree(const UniqueFd& tree) {
  SpillStack<bool> waiting(spill_);
  waiting.push("", true);
  while (const auto next = waiting.pop()) {
    throw_if_cancelled();
    look_into_folder(tree, next->first, waiting);
  }
}

void LocalFiles::look_into_folder(const UniqueFd& tree, const std::string& path, SpillStack<bool>& waiting) {
  const UniqueFd dir =
      sys::open_beneath(tree, path.empty() ? "." : path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  each_entry(dir, [&](const FolderEntry& entry) {
    const auto status = sys::try_stat_at(dir, entry.name);
    if (!status) return;
    const std::string full = path.empty() ? entry.name : path + "/" + entry.name;
    if (S_ISREG(status->st_mode) && status->st_size > 0)
      note(full, {.size = static_cast<std::uint64_t>(status->st_size), .path = full});
    if (S_ISDIR(status->st_mode)) waiting.push(full, true);
  });
}

void LocalFiles::note(std::string_view path, const LocalFile& file) {
  const bool is_wanted_path = has(paths_, hash(path));
  const bool is_wanted_size = has(sizes_, file.size);
  if (!is_wanted_path && !is_wanted_size) return;
  const auto index = static_cast<std::uint32_t>(found_.size());
  bool is_kept = false;
  const auto add = [&](Table& table, std::uint64_t key) {
    Few& few = *table.try_emplace(key, {}).first;
    if (few.count == kEach) return;
    few.files.at(few.count++) = index;
    is_kept = true;
  };
  if (is_wanted_path) add(by_path_, hash(path));
  if (is_wanted_size) {
    add(by_name_, name_key(path, file.size));
    add(by_size_, file.size);
  }
  if (!is_kept) return;
  LocalFile& kept = found_.push_back(file);
  kept.layer = static_cast<std::uint32_t>(layers_.size() - 1);
  kept.path = memory_.keep(file.path);
}

std::vector<LocalFile> LocalFiles::candidates(std::string_view path, std::uint64_t size) {
  std::vector<std::uint32_t> indexes;
  const auto add = [&](Table& table, std::uint64_t key) {
    const Few* const few = table.find(key);
    for (std::uint32_t i = 0; few != nullptr && i < few->count; ++i)
      if (std::find(indexes.begin(), indexes.end(), few->files.at(i)) == indexes.end())
        indexes.push_back(few->files.at(i));
  };
  if (!path.empty()) {
    add(by_path_, hash(path));
    add(by_name_, name_key(path, size));
  }
  add(by_size_, size);
  std::vector<LocalFile> files;
  for (const std::uint32_t index : indexes) files.push_back(found_[index]);
  std::stable_partition(files.begin(), files.end(), [&](const LocalFile& file) { return file.size == size; });
  return files;
}

bool LocalFiles::has_candidate(std::string_view path, std::uint64_t size) {
  return by_size_.find(size) != nullptr || (!path.empty() && by_path_.find(hash(path)) != nullptr);
}

const UniqueFd& LocalFiles::open_in_tree(const LocalFile& file) {
  if (opened_ && opened_layer_ == file.layer && opened_path_ == file.path) return opened_;
  opened_path_ = file.path;
  opened_layer_ = file.layer;
  opened_ = UniqueFd{};
  opened_ = sys::open_beneath(layers_[file.layer], opened_path_, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  return opened_;
}

std::size_t LocalFiles::read(const LocalFile& file, std::span<std::byte> buffer, std::uint64_t offset) {
  if (offset >= file.size) return 0;
  const auto due = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), file.size - offset));
  if (file.path.empty()) return read_local(layers_[file.layer], buffer.first(due), file.offset + offset);
  return read_local(open_in_tree(file), buffer.first(due), offset);
}

}  // namespace lay::layerstore
