#include "erofs/tree_builder.h"

#include <linux/limits.h>

#include <algorithm>
#include <climits>
#include <iterator>
#include <limits>

#include "base/cancel.h"
#include "base/error.h"
#include "base/text.h"
#include "overlay/overlay_notation.h"
#include "overlay/symlink_walk.h"
#include "tar/entry_check.h"
#include "tar/tar_reader.h"

namespace lay::layerstore {

namespace {

constexpr InodeIndex kRoot = 0;
constexpr mode_t kImpliedMode = 0755;
constexpr std::size_t kImpliedSize = 160;  // bytes, with its name in the folder above
constexpr std::size_t kMaxHeld = 512 * 1024 * 1024;

LayerInode new_folder(SpillMemory& memory, mode_t mode) {
  return {.mode = S_IFDIR | mode, .names = memory.make<FolderNames>(memory)};
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

/// As chmod(2) changes an access list that is there: posix_acl_chmod() of the kernel.
void fit_access_acl(LayerInode& inode, SpillMemory& memory) {
  if (inode.rare == nullptr) return;
  for (KeptXattr& xattr : inode.rare->xattrs)
    if (xattr.name == kAccessAcl)
      xattr.value = memory.keep(acl_of_mode(std::string(xattr.value), inode.mode));
}

void set_access_acl(LayerInode& inode, SpillMemory& memory, const KeptXattr& xattr) {
  const AclMode acl = mode_of_acl(xattr.value);
  inode.mode = (inode.mode & ~mode_t{0777}) | acl.permissions;
  if (acl.says_more) return set_xattr(inode, memory, xattr);
  if (inode.rare != nullptr)
    std::erase_if(inode.rare->xattrs, [](const KeptXattr& other) { return other.name == kAccessAcl; });
}

void set_metadata(LayerInode& inode, SpillMemory& memory, const TarEntry& entry) {
  inode.mode = (inode.mode & S_IFMT) | (S_ISLNK(inode.mode) ? 0777 : entry.mode);
  inode.uid = entry.uid;
  inode.gid = entry.gid;
  inode.mtime = entry.mtime;
  fit_access_acl(inode, memory);
  for (const Xattr& xattr : entry.xattrs) {
    if (is_overlay_mark(xattr.name)) continue;
    const KeptXattr kept{xattr.name, xattr.value};
    if (xattr.name == kAccessAcl)
      set_access_acl(inode, memory, kept);
    else
      set_xattr(inode, memory, kept);
  }
}

bool is_of_lower(const LayerInode& inode) {
  return inode.extras().is_of_lower;
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

}  // namespace

TreeBuilder::TreeBuilder(std::span<const LowerLink> links, Spill spill) : tree_(std::move(spill)) {
  tree_.inodes.push_back(new_folder(*tree_.memory, kImpliedMode));
  at(kRoot).links = 1;
  edit_extras(at(kRoot)).is_implied = true;
  for (const LowerLink& link : links) add_lower_link(link);
}

void TreeBuilder::add_lower_link(const LowerLink& link) {
  EntryPath path = parse_entry_path(link.path);
  LayerInode inode{.mode = S_IFLNK};
  edit_extras(inode).link = tree_.memory->keep(link.target);
  edit_extras(inode).is_of_lower = true;
  const InodeIndex folder = folder_at(path.parent);
  insert(folder, path.name, inode);
  lower_links_.push_back({folder, std::move(path.name)});
}

void TreeBuilder::drop_lower_links() {
  for (const LinkPlace& place : lower_links_) {
    if (at(place.folder).links == 0) continue;
    const auto present = find(place.folder, place.name);
    if (present && is_of_lower(at(*present))) unlink(place.folder, place.name);
  }
}

void TreeBuilder::add(const TarEntry& entry, std::uint64_t data_offset) {
  if (is_aufs_metadata(entry.path)) return;
  tree_.memory->count_use();
  try {
    const EntryPath path = parse_entry_path(entry.path);
    const Removal removal = parse_removal(path.name);
    held_ += held_by(entry);
    require_few_bytes();
    if (removal != Removal::none) return add_removal(entry, path, removal);
    if (path.is_root() && entry.type != EntryType::directory)
      throw Error(Errc::invalid, "the root of a layer can only be a folder");
    require_storable(entry);
    add_named(entry, path, data_offset);
  } catch (Error& error) {
    error.add_context(fmt::format("entry '{}'", shown_path(entry.path)));
    throw;
  }
}

void TreeBuilder::require_few_bytes() const {
  if (held_ > kMaxHeld)
    throw Error::make(Errc::unsupported, "names, links and attributes of the layer exceed {} MiB",
                      kMaxHeld >> 20U)
        .with_hint("make several layers of it");
}

void TreeBuilder::add_named(const TarEntry& entry, const EntryPath& path, std::uint64_t data_offset) {
  if (entry.type == EntryType::directory) return add_folder(entry, path);
  if (entry.type == EntryType::hardlink) return add_hard_link(entry, path);
  if (entry.type == EntryType::character && entry.device == 0)
    throw Error(Errc::invalid, "a char 0:0 node would be taken for a removal that no other tool sees");
  LayerInode inode{.mode = file_type(entry.type), .size = entry.size};
  if (entry.device != 0) edit_extras(inode).device = entry.device;
  if (entry.type == EntryType::symlink) edit_extras(inode).link = tree_.memory->keep(entry.link);
  if (entry.type == EntryType::regular) inode.data_offset = data_offset;
  if (has_holes(entry))
    edit_extras(inode).regions = tree_.memory->keep(std::span<const DataRegion>(*entry.regions));
  set_metadata(inode, *tree_.memory, entry);
  const InodeIndex folder = folder_at(path.parent);
  replace(folder, path);
  insert(folder, path.name, inode);
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
  if (!present || is_of_lower(at(*present))) {
    unlink(folder, name);
    insert(folder, name, {.mode = S_IFCHR});
  } else if (S_ISDIR(at(*present).mode)) {
    make_opaque(*present);
    edit_extras(at(*present)).is_implied = false;
  }
}

void TreeBuilder::add_folder(const TarEntry& entry, const EntryPath& path) {
  const InodeIndex parent = folder_at(path.parent);
  const auto present = path.is_root() ? std::optional(kRoot) : find(parent, path.name);
  InodeIndex folder = present.value_or(kRoot);
  if (!present) {
    folder = insert(parent, path.name, new_folder(*tree_.memory, 0));
  } else if (!S_ISDIR(at(*present).mode)) {
    // A file or a removal of this layer was here: the lower layers' folder does not come back with this one.
    unlink(parent, path.name);
    folder = insert(parent, path.name, new_folder(*tree_.memory, 0));
    make_opaque(folder);
  }
  if (at(folder).extras().is_implied) {
    edit_extras(at(folder)).is_implied = false;
    if (!path.is_root()) entered_.insert(place_of(path));
  }
  set_metadata(at(folder), *tree_.memory, entry);
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
  if (!inode || is_whiteout(at(*inode)) || is_of_lower(at(*inode))) fail_missing();
  if (S_ISDIR(at(*inode).mode))
    throw Error::make(Errc::invalid, "it is a hard link to the folder '{}'", shown_path(entry.link));
  const InodeIndex folder = folder_at(path.parent);
  if (find(folder, path.name) == inode) return;
  replace(folder, path);
  if (at(*inode).links == 0 || at(*target_folder).links == 0)
    fail_missing();  // it lay in the folder that this link replaces
  link(folder, path.name, *inode);
}

/// Where the entry is: a path through no symlink. For the folder that folder_at() has given last.
std::string TreeBuilder::place_of(const EntryPath& path) const {
  return path.parent.empty() || current_place_.empty() ? path.name : current_place_ + "/" + path.name;
}

InodeIndex TreeBuilder::folder_at(const std::string& path) {
  if (path.empty()) return kRoot;
  if (!current_ || path != current_path_) {
    current_ = resolve(path, Missing::make);
    current_path_ = path;
  }
  return *current_;
}

/// Where a walk through the tree stands.
class TreeBuilder::Place {
 public:
  Place(TreeBuilder& builder, Missing missing) : builder_(builder), missing_(missing) {}

  InodeIndex folder() const { return passed_.back().folder; }
  std::uint64_t& steps() { return builder_.steps_; }

  /// A path through no symlink.
  std::string path() const { return path_.empty() ? path_ : path_.substr(1); }

  void to_root() {
    passed_.resize(1);
    path_.clear();
  }
  void to_parent() {
    if (passed_.size() > 1) passed_.pop_back();
    path_.resize(passed_.back().path_size);
  }

  WalkStep step(const std::string& name) {
    auto child = builder_.find(folder(), name);
    if (child && S_ISLNK(builder_.at(*child).mode))
      return {WalkStep::Met::symlink, std::string(builder_.at(*child).extras().link)};
    const std::size_t path_size = passed_.back().path_size + 1 + name.size();
    if (path_size >= PATH_MAX)  // symlinks of symlinks could go on for long
      throw Error::make(Errc::invalid, "its folder's path is longer than {} bytes", PATH_MAX - 1);
    if (!child || is_whiteout(builder_.at(*child))) {
      if (missing_ == Missing::fail) return {WalkStep::Met::end};
      child = builder_.make_implied(folder(), name, path_size);
    } else if (!S_ISDIR(builder_.at(*child).mode)) {
      if (missing_ == Missing::fail) return {WalkStep::Met::end};
      throw Error::make(Errc::invalid, "'{}' on its way is not a folder", printable(name));
    }
    passed_.push_back({*child, path_size});
    (path_ += '/') += name;
    return {WalkStep::Met::folder};
  }

 private:
  /// A folder on the way from the root, and how long its path is.
  struct Passed {
    InodeIndex folder;
    std::size_t path_size;
  };

  TreeBuilder& builder_;
  Missing missing_;
  std::vector<Passed> passed_{{kRoot, 0}};
  std::string path_;  ///< each name after a slash
};

/// The folder at `path`. Empty when it is not there and is not to be made.
std::optional<InodeIndex> TreeBuilder::resolve(const std::string& path, Missing missing) {
  Place place(*this, missing);
  switch (walk_symlinks(path, place)) {
    case WalkResult::arrived:
      if (missing == Missing::make) current_place_ = place.path();
      return place.folder();
    case WalkResult::ended:
      return std::nullopt;
    case WalkResult::too_many_symlinks:
      break;
  }
  throw Error(Errc::invalid, "its folder leads through too many symlinks");
}

/// A folder that the tar only implies. In the place of a removal it is a new one, to which the layers below
/// have nothing to say.
InodeIndex TreeBuilder::make_implied(InodeIndex parent, const std::string& name, std::size_t path_size) {
  if (name.size() > NAME_MAX)  // of a symlink's target; those of entries are checked
    throw Error::make(Errc::invalid, "its folder leads through a name of more than {} bytes", NAME_MAX);
  const bool was_removed = find(parent, name).has_value();
  unlink(parent, name);
  const InodeIndex folder = insert(parent, name, new_folder(*tree_.memory, kImpliedMode));
  edit_extras(at(folder)).is_implied = !was_removed;
  held_ += kImpliedSize + name.size();
  require_few_bytes();
  implied_bytes_ += path_size;
  require_short_list(implied_bytes_);
  ++implied_count_;
  if (was_removed) make_opaque(folder);
  return folder;
}

std::optional<InodeIndex> TreeBuilder::find(InodeIndex folder, const std::string& name) const {
  return at(folder).names->find(name);
}

InodeIndex TreeBuilder::insert(InodeIndex folder, const std::string& name, const LayerInode& inode) {
  const auto index = static_cast<InodeIndex>(tree_.inodes.size());
  tree_.inodes.push_back(inode);
  link(folder, name, index);
  return index;
}

void TreeBuilder::link(InodeIndex folder, const std::string& name, InodeIndex inode) {
  at(folder).names->insert({tree_.memory->keep(name), inode});
  ++at(inode).links;
}

/// Removes a name, and of a folder everything below; nothing of that name is success.
void TreeBuilder::unlink(InodeIndex folder, const std::string& name) {
  const auto present = at(folder).names->remove(name);
  if (!present) return;
  std::vector<InodeIndex> removed{*present};
  current_.reset();
  while (!removed.empty()) {
    tree_.memory->count_use();
    LayerInode& inode = at(removed.back());
    removed.pop_back();
    if (--inode.links > 0 || inode.names == nullptr) continue;
    for (const FolderName& inner : *inode.names) removed.push_back(inner.inode());
    inode.names->clear();
  }
}

/// The name is free for something else then.
void TreeBuilder::replace(InodeIndex folder, const EntryPath& path) {
  const auto present = find(folder, path.name);
  if (!present) return;
  if (at(*present).names != nullptr) note_replaced(*present, place_of(path));
  unlink(folder, path.name);
}

/// The folders beneath go too. `place` is where the folder is.
void TreeBuilder::note_replaced(InodeIndex folder, std::string place) {
  struct Level {
    InodeIndex folder;
    FolderNames::Iterator next;
    std::size_t path_size;
  };
  std::vector<Level> stack;  // not recursion: a hostile tar decides how deep it goes
  const auto enter = [&](InodeIndex entered) {
    if (at(entered).extras().is_implied) entered_.insert(place);
    stack.push_back({entered, at(entered).names->begin(), place.size()});
  };
  enter(folder);
  while (!stack.empty()) {
    tree_.memory->count_use();
    Level& level = stack.back();
    place.resize(level.path_size);
    if (level.next == at(level.folder).names->end()) {
      stack.pop_back();
      continue;
    }
    const FolderName inner = *level.next;
    ++level.next;
    if (at(inner.inode()).names == nullptr) continue;
    (place += '/') += inner.name();
    enter(inner.inode());
  }
}

void TreeBuilder::make_opaque(InodeIndex folder) {
  set_xattr(at(folder), *tree_.memory, {kOpaqueXattr, "y"});
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
    for (const FolderName& entry : names) {
      tree_.memory->count_use();
      if (at(entry.inode()).names != nullptr)
        todo.push_back({entry.inode(), now.is_merged && !is_opaque(at(entry.inode()))});
    }
  }
}

LayerTree TreeBuilder::finish() {
  drop_lower_links();
  if (has_opaque_) drop_needless_whiteouts();
  return std::move(tree_);
}

namespace {

/// Reads over an entry's data, so that a tar that ends among them says in whose.
void pass_data(TarReader& reader, const TarEntry& entry) {
  try {
    while (!reader.read_data().empty()) throw_if_cancelled();
  } catch (Error& error) {
    error.add_context(fmt::format("entry '{}'", shown_path(entry.path)));
    throw;
  }
}

}  // namespace

IndexedLayer index_layer(ByteSource& tar, const ApplyOptions& options) {
  TarReader reader(tar);
  TreeBuilder builder(options.links, options.spill);
  ApplyStats stats;
  while (const auto entry = reader.next()) {
    throw_if_cancelled();
    builder.add(*entry, reader.position());
    pass_data(reader, *entry);
    ++stats.entries;
    require_few(stats.entries + builder.implied_count(), options.most_entries);
    stats.newest = std::max<std::int64_t>(stats.newest, entry->mtime.tv_sec);
    note_owner(*entry, stats.owners);
  }
  stats.bytes = reader.bytes();
  LayerTree tree = builder.finish();
  stats.folders = stacked_folders(tree);
  stats.folders.entered.assign(builder.entered().begin(), builder.entered().end());
  return {.tree = std::move(tree), .stats = std::move(stats)};
}

}  // namespace lay::layerstore
