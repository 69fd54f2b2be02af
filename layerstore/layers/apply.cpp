#include "layerstore/apply.h"

#include <fcntl.h>
#include <linux/limits.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "base/cancel.h"
#include "base/error.h"
#include "base/remove_tree.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "diff/inode.h"
#include "layers/layer_folders.h"
#include "layers/sparse_file.h"
#include "overlay/overlay_notation.h"
#include "tar/entry_check.h"
#include "tar/entry_path.h"
#include "tar/tar_reader.h"

namespace lay::layerstore {

namespace {

/// In shorter files SparseFileSink leaves no holes.
constexpr std::uint64_t kWithHoles = 64 * 1024;

/// What the kernel says of a way that leads over the layer's own symlinks is the layer's fault.
Error blame_layer(const Error& error) {
  if (error.error_number() == ELOOP)
    return Error(Errc::invalid, "its folder leads through too many symlinks");
  if (error.error_number() == ENAMETOOLONG)
    return Error::make(Errc::invalid, "its folder leads through a name of more than {} bytes", NAME_MAX);
  return error;
}

class LayerUnpacker {
 public:
  LayerUnpacker(ByteSource& tar, const UniqueFd& target, const ApplyOptions& options)
      : reader_(tar),
        target_(target),
        folders_(target, options.spill),
        most_entries_(options.most_entries),
        kind_(options.target) {
    folders_.add_lower_links(options.links);
  }

  ApplyStats run() {
    // What the store's own folder may have inherited would be inherited again by every file of the layer.
    sys::remove_acls(target_);
    ApplyStats stats;
    while (const auto entry = reader_.next()) {
      throw_if_cancelled();
      unpack(*entry);
      ++stats.entries;
      require_few(stats.entries + folders_.implied_count(), most_entries_);
      stats.newest = std::max<std::int64_t>(stats.newest, entry->mtime.tv_sec);
      note_owner(*entry, stats.owners);
    }
    if (!has_root_) set_root_defaults();
    stats.folders = folders_.finish();
    std::vector<std::string>& implied = stats.folders.implied;
    if (!has_root_) implied.insert(implied.begin(), std::string());
    stats.bytes = reader_.bytes();
    return stats;
  }

 private:
  void unpack(const TarEntry& entry) {
    if (is_aufs_metadata(entry.path)) return;
    if (std::exchange(has_replaced_, false)) folders_.forget();
    try {
      const EntryPath path = parse_entry_path(entry.path);
      const Removal removal = parse_removal(path.name);
      if (removal != Removal::none) return unpack_removal(entry, path, removal);
      if (path.is_root() && entry.type != EntryType::directory)
        throw Error(Errc::invalid, "the root of a layer can only be a folder");
      require_storable(entry);
      unpack_entry(entry, path);
    } catch (const Error& error) {
      throw blame_layer(error).add_context(fmt::format("entry '{}'", shown_path(entry.path)));
    }
  }

  void unpack_entry(const TarEntry& entry, const EntryPath& path) {
    switch (entry.type) {
      case EntryType::directory:
        return unpack_folder(entry, path);
      case EntryType::regular:
        return unpack_file(entry, path);
      case EntryType::hardlink:
        return unpack_hard_link(entry, path);
      case EntryType::symlink:
        return unpack_symlink(entry, path);
      case EntryType::character:
        if (entry.device == 0)
          throw Error(Errc::invalid, "a char 0:0 node would be taken for a removal that no other tool sees");
        return unpack_node(entry, path, S_IFCHR);
      case EntryType::block:
        return unpack_node(entry, path, S_IFBLK);
      case EntryType::fifo:
        return unpack_node(entry, path, S_IFIFO);
    }
  }

  void unpack_removal(const TarEntry& entry, const EntryPath& path, Removal removal) {
    if (entry.type == EntryType::directory) throw Error(Errc::invalid, "a removal cannot be a folder");
    if (removal == Removal::opaque) {
      folders_.make_opaque(folders_.find(path.parent), ".");
    } else {
      folders_.add_whiteout(path.parent, path.name.substr(kWhiteoutPrefix.size()));
    }
  }

  void unpack_folder(const TarEntry& entry, const EntryPath& path) {
    const UniqueFd& parent = folders_.find(path.parent);
    if (!sys::try_mkdir_at(parent, path.name, 0700) && !S_ISDIR(sys::stat_at(parent, path.name).st_mode)) {
      // A file or a removal of this layer was here: the lower layers' folder does
      // not come back with this one.
      sys::unlink_at(parent, path.name);
      has_replaced_ = true;
      return unpack_new_folder(entry, path);
    }
    set_folder_metadata(parent, entry, path);
  }

  void unpack_new_folder(const TarEntry& entry, const EntryPath& path) {
    const UniqueFd& parent = folders_.find(path.parent);
    sys::mkdir_at(parent, path.name, 0700);
    folders_.make_opaque(parent, path.name);
    set_folder_metadata(parent, entry, path);
  }

  /// The attribute as the target has it; empty for marks of an overlay, which it shall not have.
  std::optional<Xattr> as_kept(const Xattr& xattr) const {
    if (is_overlay_mark(xattr.name)) return std::nullopt;
    if (kind_ == ApplyTarget::lower) return xattr;
    return Xattr{shown_xattr_name(xattr.name).value(), xattr.value};
  }

  void set_folder_metadata(const UniqueFd& parent, const TarEntry& entry, const EntryPath& path) {
    sys::chown_at(parent, path.name, entry.uid, entry.gid);
    sys::chmod_at(parent, path.name, entry.mode);
    std::optional<std::string> default_acl;
    for (const Xattr& xattr : entry.xattrs) {
      if (xattr.name == kDefaultAcl) {
        default_acl = xattr.value;
      } else if (const auto kept = as_kept(xattr)) {
        set_xattr_at(parent, path.name, *kept);
      }
    }
    if (path.is_root()) has_root_ = true;
    folders_.note_entry(folders_.place_of(path.name));
    folders_.set_late(parent, path.name, folders_.place_of(path.name), entry.mtime, std::move(default_acl));
  }

  void unpack_file(const TarEntry& entry, const EntryPath& path) {
    UniqueFd file;
    make_replacing(path, [&](const UniqueFd& parent) {
      file = sys::open_at(parent, path.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    });
    if (entry.regions) {
      unpack_regions(entry, file);
    } else if (entry.size >= kWithHoles) {
      SparseFileSink sparse(file);
      unpack_data([&](std::span<const std::byte> piece) { sparse.write(piece); });
      sparse.finish();
    } else {
      unpack_data([&](std::span<const std::byte> piece) { sys::write_all(file, piece); });
    }
    // Writing and chown(2) clear suid, sgid and capabilities: those come last.
    set_owner(file, entry.uid, entry.gid);
    sys::fchmod(file, entry.mode);
    for (const Xattr& xattr : entry.xattrs)
      if (const auto kept = as_kept(xattr)) set_xattr_fd(file, *kept);
    set_mtime(file, entry.mtime);
  }

  template <class Write>
  void unpack_data(Write&& write) {
    for (auto piece = reader_.read_data(); !piece.empty(); piece = reader_.read_data()) {
      write(piece);
      throw_if_cancelled();
    }
  }

  /// A piece may end in the middle of a region, and go over several.
  void unpack_regions(const TarEntry& entry, const UniqueFd& file) {
    auto region = entry.regions->begin();
    std::uint64_t done = 0;  // of the region
    unpack_data([&](std::span<const std::byte> piece) {
      while (!piece.empty()) {
        const auto due = static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), region->size - done));
        const std::size_t count = sys::pwrite_some(file, piece.first(due), region->offset + done);
        piece = piece.subspan(count);
        done += count;
        if (done == region->size) {
          ++region;
          done = 0;
        }
      }
    });
    sys::ftruncate(file, entry.size);
  }

  /// Layers are unpacked by themselves, so a link can only lead to a file of the same layer.
  void unpack_hard_link(const TarEntry& entry, const EntryPath& path) {
    const EntryPath target = parse_entry_path(entry.link);
    const auto folder =
        sys::try_open_in_root(target_, target.parent.empty() ? "." : target.parent, O_PATH | O_DIRECTORY);
    const auto status = folder ? sys::try_stat_at(*folder, target.name) : std::nullopt;
    if (!status || is_whiteout_node(*status) || folders_.is_lower_link(*status)) throw no_target(entry);
    if (S_ISDIR(status->st_mode))
      throw Error::make(Errc::invalid, "it is a hard link to the folder '{}'", shown_path(entry.link));
    const auto present = sys::try_stat_at(folders_.find(path.parent), path.name);
    if (present && is_same_file(*present, *status)) return;
    make_replacing(path, [&](const UniqueFd& parent) {
      if (!make_link(*folder, target.name, parent, path.name)) throw no_target(entry);
    });
  }

  static Error no_target(const TarEntry& entry) {
    return Error::make(Errc::invalid, "it is a hard link to '{}', which this layer does not hold before it",
                       shown_path(entry.link));
  }

  /// False when the target lay in what the link has replaced.
  static bool make_link(const UniqueFd& from, const std::string& target, const UniqueFd& to,
                        const std::string& name) {
    try {
      sys::link_at(from, target, to, name);
      return true;
    } catch (Error& error) {
      if (error.error_number() == ENOENT) return false;
      if (error.error_number() == EMLINK)
        error.with_hint("a store on xfs takes more hard links of a file than ext4's 65,000");
      throw;
    }
  }

  void unpack_symlink(const TarEntry& entry, const EntryPath& path) {
    make_replacing(path, [&](const UniqueFd& parent) { sys::symlink_at(entry.link, parent, path.name); });
    set_node_metadata(entry, path);
  }

  void unpack_node(const TarEntry& entry, const EntryPath& path, mode_t type) {
    make_replacing(
        path, [&](const UniqueFd& parent) { sys::mknod_at(parent, path.name, type | 0600, entry.device); });
    set_node_metadata(entry, path);
  }

  void set_node_metadata(const TarEntry& entry, const EntryPath& path) {
    const UniqueFd& parent = folders_.find(path.parent);
    sys::chown_at(parent, path.name, entry.uid, entry.gid);
    if (entry.type != EntryType::symlink) sys::chmod_at(parent, path.name, entry.mode);
    for (const Xattr& xattr : entry.xattrs)
      if (const auto kept = as_kept(xattr)) set_xattr_at(parent, path.name, *kept);
    sys::set_mtime_at(parent, path.name, entry.mtime);
  }

  /// Runs `make(parent)`; when the name is taken by an earlier entry, that one goes first.
  template <class Make>
  void make_replacing(const EntryPath& path, Make&& make) {
    const UniqueFd& parent = folders_.find(path.parent);
    try {
      return make(parent);
    } catch (const Error& error) {
      if (error.error_number() != EEXIST) throw;
    }
    folders_.note_replaced(folders_.place_of(path.name));
    remove_tree(parent, path.name);
    has_replaced_ = true;
    make(parent);
  }

  void set_root_defaults() {
    sys::chmod_at(target_, ".", 0755);
    folders_.set_late(target_, ".", "", timespec{}, std::nullopt);
  }

  TarReader reader_;
  const UniqueFd& target_;
  LayerFolders folders_;
  std::uint64_t most_entries_;
  ApplyTarget kind_;
  bool has_root_ = false;
  /// The way to the entry's folder may have led through what it replaced: it is another for the next one.
  bool has_replaced_ = false;
};

}  // namespace

ApplyStats apply_layer(ByteSource& tar, const UniqueFd& target, const ApplyOptions& options) {
  return LayerUnpacker(tar, target, options).run();
}

}  // namespace lay::layerstore
