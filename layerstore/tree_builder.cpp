#include "tree_builder.h"

#include <linux/limits.h>

#include <algorithm>
#include <climits>
#include <deque>
#include <iterator>
#include <limits>

#include "base/cancel.h"
#include "base/error.h"
#include "base/text.h"
#include "entry_check.h"
#include "overlay_notation.h"
#include "tar_reader.h"

namespace lay::layerstore {

namespace {

constexpr InodeIndex kRoot = 0;
constexpr mode_t kImpliedMode = 0755;
constexpr int kMaxSymlinks = 40;                // as the kernel, path_resolution(7)
constexpr std::size_t kMaxInodes = 10'000'000;  // each takes some 110 bytes of memory
constexpr std::size_t kMaxHeld = 512 * 1024 * 1024;

LayerInode new_folder(mode_t mode) {
  LayerInode inode{.mode = S_IFDIR | mode};
  inode.names = std::make_unique<FolderNames>();
  return inode;
}

mode_t file_type(EntryType type) {
  switch (type) {
    case EntryType::directory:
      return S_IFDIR;
    case EntryType::symlink:
      return S_IFLNK;
    case EntryType::character:
      return S_IFCHR;
    case EntryType::block:
      return S_IFBLK;
    case EntryType::fifo:
      return S_IFIFO;
    case EntryType::regular:
    case EntryType::hardlink:
      break;
  }
  return S_IFREG;
}

void set_metadata(LayerInode& inode, const TarEntry& entry) {
  inode.mode = (inode.mode & S_IFMT) | (S_ISLNK(inode.mode) ? 0777 : entry.mode);
  inode.uid = entry.uid;
  inode.gid = entry.gid;
  inode.mtime = entry.mtime;
  for (const Xattr& xattr : entry.xattrs) {
    if (!overlay_xattr(xattr.name)) set_xattr(inode, xattr);
  }
}

/// What an entry has in memory besides its inode, in bytes.
std::size_t held_by(const TarEntry& entry) {
  std::size_t bytes = entry.path.size() + entry.link.size();
  for (const Xattr& xattr : entry.xattrs) bytes += xattr.name.size() + xattr.value.size();
  if (entry.regions) bytes += entry.regions->size() * sizeof(DataRegion);
  return bytes;
}

/// A map may also say that there are none.
bool has_holes(const TarEntry& entry) {
  return entry.regions && entry.size > 0 &&
         (entry.regions->empty() || entry.regions->front() != DataRegion{0, entry.size});
}

/// Puts the components of `path` in front of `rest`.
void prepend_components(std::deque<std::string>& rest, std::string_view path) {
  std::vector<std::string> parts = split(path, '/');
  rest.insert(rest.begin(), std::make_move_iterator(parts.begin()), std::make_move_iterator(parts.end()));
}

}  // namespace

TreeBuilder::TreeBuilder() {
  tree_.inodes.push_back(new_folder(kImpliedMode));
  at(kRoot).links = 1;
  at(kRoot).edit_extras().is_implied = true;
}

void TreeBuilder::add(const TarEntry& entry, std::uint64_t data_offset) {
  if (is_aufs_metadata(entry.path)) return;
  try {
    const EntryPath path = parse_entry_path(entry.path);
    const Removal removal = parse_removal(path.name);
    if (removal != Removal::none) return add_removal(entry, path, removal);
    if (path.is_root() && entry.type != EntryType::directory)
      throw Error(Errc::invalid, "the root of a layer can only be a folder");
    require_storable(entry);
    held_ += held_by(entry);
    if (held_ > kMaxHeld)
      throw Error::make(Errc::unsupported, "names, links and attributes of the layer exceed {} MiB",
                        kMaxHeld >> 20U)
          .with_hint("make several layers of it");
    add_named(entry, path, data_offset);
  } catch (Error& error) {
    error.add_context(fmt::format("entry '{}'", shown_path(entry.path)));
    throw;
  }
}

void TreeBuilder::add_named(const TarEntry& entry, const EntryPath& path, std::uint64_t data_offset) {
  if (entry.type == EntryType::directory) return add_folder(entry, path);
  if (entry.type == EntryType::hardlink) return add_hard_link(entry, path);
  if (entry.type == EntryType::character && entry.device == 0)
    throw Error(Errc::invalid, "a char 0:0 node would be taken for a removal that no other tool sees");
  LayerInode inode{.mode = file_type(entry.type), .size = entry.size};
  if (entry.device != 0) inode.edit_extras().device = entry.device;
  if (entry.type == EntryType::symlink) inode.edit_extras().link = entry.link;
  if (entry.type == EntryType::regular) inode.data_offset = data_offset;
  if (has_holes(entry)) inode.edit_extras().regions = entry.regions;
  set_metadata(inode, entry);
  const InodeIndex folder = folder_at(path.parent);
  unlink(folder, path.name);
  insert(folder, path.name, std::move(inode));
}

void TreeBuilder::add_removal(const TarEntry& entry, const EntryPath& path, Removal removal) {
  if (entry.type == EntryType::directory) throw Error(Errc::invalid, "a removal cannot be a folder");
  const InodeIndex folder = folder_at(path.parent);
  if (removal == Removal::opaque) return make_opaque(folder);
  add_whiteout(folder, path.name.substr(kWhiteoutPrefix.size()));
}

/// A removal reaches the lower layers only, in whichever order it and what this layer adds come.
void TreeBuilder::add_whiteout(InodeIndex folder, const std::string& name) {
  const auto present = find(folder, name);
  if (!present) {
    insert(folder, name, {.mode = S_IFCHR});
  } else if (S_ISDIR(at(*present).mode)) {
    make_opaque(*present);
  }
}

void TreeBuilder::add_folder(const TarEntry& entry, const EntryPath& path) {
  const InodeIndex parent = folder_at(path.parent);
  const auto present = path.is_root() ? std::optional(kRoot) : find(parent, path.name);
  InodeIndex folder = present.value_or(kRoot);
  if (!present) {
    folder = insert(parent, path.name, new_folder(0));
  } else if (!S_ISDIR(at(*present).mode)) {
    // A file or a removal of this layer was here: the lower layers' folder does not come back with this one.
    unlink(parent, path.name);
    folder = insert(parent, path.name, new_folder(0));
    make_opaque(folder);
  }
  if (at(folder).rare) at(folder).rare->is_implied = false;
  set_metadata(at(folder), entry);
}

/// Layers stand by themselves, so a link can only lead to a file of the same layer.
void TreeBuilder::add_hard_link(const TarEntry& entry, const EntryPath& path) {
  const EntryPath target = parse_entry_path(entry.link);
  const auto target_folder = resolve(target.parent, Missing::fail);
  const auto inode = !target_folder     ? std::nullopt
                     : target.is_root() ? std::optional(kRoot)
                                        : find(*target_folder, target.name);
  const auto fail_missing = [&] {
    throw Error::make(Errc::invalid, "it is a hard link to '{}', which this layer does not hold before it",
                      shown_path(entry.link));
  };
  if (!inode || is_whiteout(at(*inode))) fail_missing();
  if (S_ISDIR(at(*inode).mode))
    throw Error::make(Errc::invalid, "it is a hard link to the folder '{}'", shown_path(entry.link));
  const InodeIndex folder = folder_at(path.parent);
  if (find(folder, path.name) == inode) return;
  unlink(folder, path.name);
  if (at(*inode).links == 0) fail_missing();  // it lay in the folder that this link replaces
  link(folder, path.name, *inode);
}

InodeIndex TreeBuilder::folder_at(const std::string& path) {
  if (path.empty()) return kRoot;
  if (!current_ || path != current_path_) {
    current_ = resolve(path, Missing::make);
    current_path_ = path;
  }
  return *current_;
}

/// The folder at `path`, symlinks followed as if the layer's root were "/". Empty when it is not there and is
/// not to be made.
std::optional<InodeIndex> TreeBuilder::resolve(const std::string& path, Missing missing) {
  std::deque<std::string> rest;
  prepend_components(rest, path);
  std::vector<Step> passed{{kRoot, 0}};
  int symlinks = 0;
  while (!rest.empty()) {
    const std::string name = std::move(rest.front());
    rest.pop_front();
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      if (passed.size() > 1) passed.pop_back();
      continue;
    }
    auto child = find(passed.back().folder, name);
    if (child && S_ISLNK(at(*child).mode)) {
      if (++symlinks > kMaxSymlinks) throw Error(Errc::invalid, "its folder leads through too many symlinks");
      if (at(*child).extras().link.starts_with('/')) passed.resize(1);
      prepend_components(rest, at(*child).extras().link);
      continue;
    }
    const std::size_t path_size = passed.back().path_size + 1 + name.size();
    if (path_size >= PATH_MAX)  // symlinks of symlinks could go on for long
      throw Error::make(Errc::invalid, "its folder's path is longer than {} bytes", PATH_MAX - 1);
    if (!child || is_whiteout(at(*child))) {
      if (missing == Missing::fail) return std::nullopt;
      child = make_implied(passed.back().folder, name);
    } else if (!S_ISDIR(at(*child).mode)) {
      if (missing == Missing::fail) return std::nullopt;
      throw Error::make(Errc::invalid, "'{}' on its way is not a folder", printable(name));
    }
    passed.push_back({*child, path_size});
  }
  return passed.back().folder;
}

/// A folder that the tar only implies, in the place of nothing or of a removal.
InodeIndex TreeBuilder::make_implied(InodeIndex parent, const std::string& name) {
  if (name.size() > NAME_MAX)  // of a symlink's target; those of entries are checked
    throw Error::make(Errc::invalid, "its folder leads through a name of more than {} bytes", NAME_MAX);
  const bool was_removed = find(parent, name).has_value();
  unlink(parent, name);
  const InodeIndex folder = insert(parent, name, new_folder(kImpliedMode));
  at(folder).edit_extras().is_implied = true;
  if (was_removed) make_opaque(folder);
  return folder;
}

std::optional<InodeIndex> TreeBuilder::find(InodeIndex folder, const std::string& name) const {
  return at(folder).names->find(name);
}

InodeIndex TreeBuilder::insert(InodeIndex folder, const std::string& name, LayerInode inode) {
  if (tree_.inodes.size() == kMaxInodes)
    throw Error::make(Errc::unsupported, "the layer has more than {} entries", kMaxInodes);
  const auto index = static_cast<InodeIndex>(tree_.inodes.size());
  tree_.inodes.push_back(std::move(inode));
  link(folder, name, index);
  return index;
}

void TreeBuilder::link(InodeIndex folder, const std::string& name, InodeIndex inode) {
  at(folder).names->insert({tree_.names.keep(name), inode});
  ++at(inode).links;
}

/// Removes a name, and of a folder everything below; nothing of that name is success.
void TreeBuilder::unlink(InodeIndex folder, const std::string& name) {
  const auto present = at(folder).names->remove(name);
  if (!present) return;
  std::vector<InodeIndex> removed{*present};
  current_.reset();
  while (!removed.empty()) {
    LayerInode& inode = at(removed.back());
    removed.pop_back();
    if (--inode.links > 0 || !inode.names) continue;
    for (const FolderName& inner : *inode.names) removed.push_back(inner.inode());
    inode.names->clear();
  }
}

void TreeBuilder::make_opaque(InodeIndex folder) {
  set_xattr(at(folder), {kOpaqueXattr, "y"});
  has_opaque_ = true;
}

/// Below an opaque folder nothing is merged, and where nothing is merged the kernel lists the names of
/// whiteouts. The root has nothing above it and is merged all the same.
void TreeBuilder::drop_needless_whiteouts() {
  struct Todo {
    InodeIndex folder;
    bool is_merged;
  };
  std::vector<Todo> todo{{kRoot, true}};
  while (!todo.empty()) {
    const Todo now = todo.back();
    todo.pop_back();
    FolderNames& names = *at(now.folder).names;
    if (!now.is_merged)
      names.remove_if([&](const FolderName& entry) { return is_whiteout(at(entry.inode())); });
    for (const FolderName& entry : names)
      if (at(entry.inode()).names)
        todo.push_back({entry.inode(), now.is_merged && !is_opaque(at(entry.inode()))});
  }
}

LayerTree TreeBuilder::finish() {
  if (has_opaque_) drop_needless_whiteouts();
  return std::move(tree_);
}

namespace {

/// Reads over an entry's data, so that a tar that ends among them says in whose.
void pass_data(TarReader& reader, const TarEntry& entry) {
  try {
    while (!reader.read_data().empty()) {
    }
  } catch (Error& error) {
    error.add_context(fmt::format("entry '{}'", shown_path(entry.path)));
    throw;
  }
}

}  // namespace

IndexedLayer index_layer(ByteSource& tar) {
  TarReader reader(tar);
  TreeBuilder builder;
  ApplyStats stats;
  while (const auto entry = reader.next()) {
    throw_if_cancelled();
    builder.add(*entry, reader.position());
    pass_data(reader, *entry);
    ++stats.entries;
    stats.newest = std::max<std::int64_t>(stats.newest, entry->mtime.tv_sec);
  }
  stats.bytes = reader.bytes();
  LayerTree tree = builder.finish();
  stats.implied = implied_folders(tree);
  return {.tree = std::move(tree), .stats = std::move(stats)};
}

}  // namespace lay::layerstore
