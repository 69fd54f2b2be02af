#include "layerstore/diff.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <compare>
#include <deque>
#include <optional>
#include <utility>

#include "base/cancel.h"
#include "base/error.h"
#include "base/mount.h"
#include "base/spill_map.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "diff/data_map.h"
#include "diff/inode.h"
#include "diff/sorted_names.h"
#include "diff/walked_inode.h"
#include "overlay/merged_view.h"
#include "overlay/overlay_index.h"
#include "overlay/overlay_notation.h"
#include "tar/tar_block.h"
#include "tar/tar_entry.h"
#include "tar/tar_stream.h"
#include "tar/tar_writer.h"

namespace lay::layerstore {

namespace {

/// So many are told.
constexpr std::size_t kMostMountPoints = 8;

/// So many folders stay open on the way down; those above are opened again on the way up.
constexpr std::size_t kOpenFolders = 64;
constexpr std::uint64_t kAtOnce = 128 * 1024;  ///< smaller files are read by one call, all of a moment

struct InodeKey {
  dev_t device;
  ino_t number;

  auto operator<=>(const InodeKey&) const = default;
};

InodeKey key_of(const struct ::stat& status) {
  return {status.st_dev, status.st_ino};
}

bool is_upper(TreeKind kind) {
  return kind == TreeKind::upper || kind == TreeKind::trusted_upper;
}

/// The folder without what is mounted inside, as overlay sees its upper. Where the kernel gives no copy of
/// the mount, the walk refuses what it finds mounted.
UniqueFd open_top(const UniqueFd& root, TreeKind kind) {
  if (is_upper(kind)) {
    try {
      return sys::open_dir(clone_tree(root, Recursion::no), ".");
    } catch (const Error& error) {
      // A mount namespace of fewer rights keeps covered what was covered
      const int number = error.error_number();
      if (number != EINVAL && number != EPERM && number != ENOSYS) throw;
    }
  }
  return sys::open_dir(root, ".");
}

/// A folder on the way from the root to where the walk is.
struct Folder {
  UniqueFd fd;
  InodeKey key;
  std::string path;  ///< "" for the root, otherwise ending in "/"
  Reading reading;
  SpillScratch::Mark before;  ///< its children were listed
  SortedNames children;       ///< whiteouts first
};

EntryType entry_type(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return EntryType::directory;
    case S_IFLNK:
      return EntryType::symlink;
    case S_IFCHR:
      return EntryType::character;
    case S_IFBLK:
      return EntryType::block;
    case S_IFIFO:
      return EntryType::fifo;
    default:
      return EntryType::regular;
  }
}

TarEntry entry_of(std::string path, const Inode& inode) {
  const struct ::stat& status = inode.status;
  TarEntry entry{.path = std::move(path),
                 .type = entry_type(status.st_mode),
                 .mode = status.st_mode & 07777U,
                 .uid = status.st_uid,
                 .gid = status.st_gid,
                 .mtime = {.tv_sec = status.st_mtim.tv_sec},
                 .xattrs = inode.xattrs};
  if (entry.type == EntryType::character || entry.type == EntryType::block) entry.device = status.st_rdev;
  return entry;
}

/// Removals carry nothing but their name, so that they are the same wherever they were made.
TarEntry removal_entry(std::string path) {
  return {.path = std::move(path)};
}

class Walk {
 public:
  Walk(const UniqueFd& root, TreeKind kind, ByteSink& out, const OpenLowers& lowers, const Spill& spill)
      : root_(root),
        top_(open_top(root, kind)),
        kind_(kind),
        inodes_(top_, kind, spill),
        lowers_(lowers),
        out_(out),
        names_(spill),
        links_(spill),
        first_names_(links_),
        linked_(links_) {}

  DiffStats run() {
    enter(sys::open_dir(top_, "."), "", is_upper(kind_) ? Reading::upper : Reading::plain);
    while (!stack_.empty()) {
      Folder& folder = stack_.back();
      if (const auto child = folder.children.next()) {
        throw_if_cancelled();
        visit(folder, *child);
      } else {
        leave();
      }
    }
    require_all_names();
    out_.append(tar_end());
    out_.flush();
    stats_.bytes = out_.size();
    return stats_;
  }

 private:
  void write(const TarEntry& entry) {
    out_.append(write_tar_header(entry));
    ++stats_.entries;
    stats_.newest = std::max<std::int64_t>(stats_.newest, entry.mtime.tv_sec);
  }

  const MergedView& view() {
    if (!view_) view_.emplace(root_, lowers_);
    return *view_;
  }

  /// Writes the folder's own entry and makes it the one whose children come next.
  void enter(UniqueFd fd, const std::string& path, Reading reading) {
    const Inode inode = inodes_.read(fd, FdKind::readable, reading);
    const bool opaque = inode.marks.opaque == OpaqueMark::opaque;
    const bool redirected = inode.marks.redirect && !opaque && !path.empty();
    if (redirected) {
      fd = view().open(path.substr(0, path.size() - 1), O_RDONLY | O_DIRECTORY);
      reading = Reading::view;
    }
    const InodeKey key = redirected ? key_of(sys::stat_of(fd)) : key_of(inode.status);
    write(entry_of(path.empty() ? "./" : path, inode));
    if (opaque || redirected) write(removal_entry(path + std::string(kOpaqueName)));
    Folder folder{.fd = std::move(fd),
                  .key = key,
                  .path = path,
                  .reading = reading,
                  .before = names_.mark(),
                  .children = SortedNames(names_)};
    list_children(folder, inode.marks.opaque);
    if (stack_.size() >= kOpenFolders) stack_[stack_.size() - kOpenFolders].fd.reset();
    stack_.push_back(std::move(folder));
  }

  void leave() {
    names_.rewind(stack_.back().before);
    stack_.pop_back();
    if (stack_.empty() || stack_.back().fd) return;
    Folder& folder = stack_.back();
    folder.fd = folder.reading == Reading::view
                    ? view().open(folder.path, O_RDONLY | O_DIRECTORY)
                    : sys::open_beneath(top_, folder.path.empty() ? "." : folder.path,
                                        O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (key_of(sys::stat_of(folder.fd)) != folder.key)
      throw Error::make(Errc::io, "'{}' was replaced while it was read", printable(folder.path));
  }

  /// Whiteouts first, then byte order.
  void list_children(Folder& folder, OpaqueMark mark) {
    each_entry(folder.fd, [&](const FolderEntry& entry) {
      const bool is_removal = folder.reading == Reading::upper && is_whiteout(folder.fd, entry, mark);
      folder.children.add(entry.name, entry.type,
                          is_removal ? SortedNames::Rank::first : SortedNames::Rank::later);
    });
  }

  bool is_whiteout(const UniqueFd& dir, const FolderEntry& entry, OpaqueMark mark) {
    if (entry.type == DT_CHR || entry.type == DT_UNKNOWN)
      if (is_whiteout_node(sys::stat_at(dir, entry.name))) return true;
    if (mark != OpaqueMark::xattr_whiteouts || (entry.type != DT_REG && entry.type != DT_UNKNOWN))
      return false;
    const auto file = try_open_same_mount(dir, entry.name, O_PATH);
    if (!file) return false;
    const Inode inode = inodes_.read(*file, FdKind::path_only, Reading::upper);
    return S_ISREG(inode.status.st_mode) && inode.status.st_size == 0 && inode.marks.whiteout;
  }

  void visit(const Folder& folder, const SortedNames::Name& child) {
    const std::string path = folder.path + child.name;
    try {
      if (kind_ != TreeKind::live && child.name.starts_with(kWhiteoutPrefix))
        throw Error(Errc::unsupported, "a name beginning \".wh.\" stands for a removal in a layer")
            .with_hint("rename the file");
      if (path.size() > kMaxPath)
        throw Error::make(Errc::unsupported, "the path is longer than {} bytes", kMaxPath);
      if (child.rank == SortedNames::Rank::first) {
        write(removal_entry(folder.path + std::string(kWhiteoutPrefix) + child.name));
      } else {
        visit_inode(folder, child, path);
      }
    } catch (Error& error) {
      if (kind_ == TreeKind::live && is_vanished(error)) return;
      error.add_context(fmt::format("'{}'", printable(path)));
      throw;
    }
  }

  /// Only looking at an inode fails so: nothing of it was written yet.
  static bool is_vanished(const Error& error) {
    return error.error_number() == ENOENT || error.error_number() == ESTALE;
  }

  void visit_inode(const Folder& folder, const SortedNames::Name& child, const std::string& path) {
    const UniqueFd& dir = folder.fd;
    unsigned char type = child.type;
    if (type == DT_UNKNOWN) type = static_cast<unsigned char>(IFTODT(sys::stat_at(dir, child.name).st_mode));
    const FdKind kind = type == DT_DIR || type == DT_REG ? FdKind::readable : FdKind::path_only;
    const int flags = kind == FdKind::path_only ? O_PATH
                      : type == DT_DIR          ? O_RDONLY | O_DIRECTORY
                                                : O_RDONLY | O_NONBLOCK | O_NOCTTY;
    auto fd = try_open_same_mount(dir, child.name, flags);
    if (!fd) {
      write_mount_point(dir, child.name, path);
    } else if (type == DT_DIR) {
      enter(std::move(*fd), path + "/", folder.reading);
    } else {
      write_inode(*fd, kind, path, folder.reading);
    }
  }

  /// What a mount shows belongs to somebody else.
  void write_mount_point(const UniqueFd& dir, const std::string& name, const std::string& path) {
    if (is_upper(kind_))
      throw Error(Errc::unsupported, "something is mounted there, and what lies beneath cannot be seen")
          .with_hint("unmount it first");
    if (stats_.mount_points.size() < kMostMountPoints) {
      stats_.mount_points.push_back(path);
    } else {
      ++stats_.more_mount_points;
    }
    const Inode inode{.status = sys::stat_at(dir, name)};
    TarEntry entry = entry_of(path, inode);
    if (entry.type == EntryType::directory) {
      entry.path += "/";
    } else {
      entry.type = EntryType::regular;
    }
    write(entry);
  }

  void write_inode(const UniqueFd& fd, FdKind kind, const std::string& path, Reading reading) {
    const Inode inode = inodes_.read(fd, kind, reading);
    if (S_ISSOCK(inode.status.st_mode)) {
      ++stats_.skipped_sockets;
      return;
    }
    if (is_whiteout_node(inode.status))
      throw Error(Errc::unsupported,
                  "a char 0:0 node is a removal in overlay's notation, and this is no upper")
          .with_hint("commit the folder as an overlay upper, or remove the node");
    TarEntry entry = entry_of(path, inode);
    if (inode.status.st_nlink > 1) note_name(path, reading == Reading::view ? behind_view(path) : inode);
    if (write_hard_link(entry, inode.status, reading)) return;
    if (entry.type == EntryType::symlink) entry.link = sys::readlink_at(fd, "");
    if (entry.type != EntryType::regular) return write(entry);
    if (kind != FdKind::readable || !S_ISREG(inode.status.st_mode))
      throw Error(Errc::io, "it was replaced while the folder was read");
    entry.size = static_cast<std::uint64_t>(inode.status.st_size);
    if (inode.marks.metacopy) {
      write_file(entry, view().open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY), inode.status.st_mtim);
    } else {
      write_file(entry, fd, inode.status.st_mtim);
    }
  }

  /// With the option `index`, overlay shows one inode under names that are in the upper and others that are
  /// in the lowers alone: a layer cannot say that those belong together.
  void note_name(const std::string& path, const Inode& inode) {
    if (inode.marks.links.empty() || inode.status.st_nlink < 2) return;
    const InodeKey key = key_of(inode.status);
    Linked* linked = linked_.find(key);
    if (linked != nullptr) {
      ++linked->names;
      return;
    }
    linked = linked_.try_emplace(key, {.path = links_.keep(path), .names = 1}).first;
    // "U-1": one less than its links in the upper, of which the index is one; "L…" counts from the lower's
    const std::string_view mark = inode.marks.links;
    const auto difference = mark.size() > 2 ? parse_number(mark.substr(2)) : std::nullopt;
    if (!difference || mark[0] != 'U') return;
    const auto links = static_cast<std::int64_t>(inode.status.st_nlink);
    const auto number = static_cast<std::int64_t>(*difference);
    linked->expected = mark[1] == '-' ? links - number : links + number;
  }

  /// What the upper has there, if anything: its status, and what overlay notes of its links.
  Inode behind_view(const std::string& path) {
    Inode inode;
    if (!try_stat_beneath(top_, path)) return inode;
    const UniqueFd fd = sys::open_beneath(top_, path, O_PATH | O_NOFOLLOW);
    inode.status = sys::stat_of(fd);
    inode.marks.links = inodes_.read_links(fd, FdKind::path_only);
    return inode;
  }

  void require_all_names() const {
    linked_.for_each([](const InodeKey&, const Linked& linked) {
      if (linked.names != linked.expected)
        throw Error::make(Errc::unsupported,
                          "'{}' has other names in the lower layers, which show the same file",
                          printable(linked.path))
            .with_hint("mount the overlay with index=off, or write the file under each of its names");
    });
  }

  void write_file(TarEntry& entry, const UniqueFd& data, const timespec& mtime) {
    entry.regions = find_worthwhile_holes(data, entry.size);
    write(entry);
    if (kind_ == TreeKind::live) return append_live(data, entry);
    if (entry.regions) {
      out_.append_regions(data, *entry.regions);
    } else {
      out_.append_file(data, entry.size);
      if (entry.size < kAtOnce) return;
    }
    require_unchanged(data, entry, mtime);
  }

  /// What was written meanwhile may have been read in part; what came into a hole was not read.
  static void require_unchanged(const UniqueFd& data, const TarEntry& entry, const timespec& mtime) {
    const struct ::stat after = sys::stat_of(data);
    if (static_cast<std::uint64_t>(after.st_size) != entry.size || after.st_mtim.tv_sec != mtime.tv_sec ||
        after.st_mtim.tv_nsec != mtime.tv_nsec)
      throw Error(Errc::io, "file changed while it was read")
          .with_hint("commit it again when nobody writes to it");
  }

  /// After the header nothing may be left out any more, whatever the reason.
  void append_live(const UniqueFd& fd, const TarEntry& entry) {
    try {
      out_.append_live(fd, entry.regions.value_or(std::vector<DataRegion>{{0, entry.size}}));
    } catch (const Error& error) {
      throw Error(error.code(), error.message());  // without the number that stands for "vanished"
    }
  }

  /// False for the first name of an inode, which carries what it holds.
  bool write_hard_link(TarEntry entry, const struct ::stat& status, Reading reading) {
    if (status.st_nlink < 2) return false;
    const InodeKey key = reading == Reading::view ? key_behind_view(entry.path, status) : key_of(status);
    const std::string_view* const first = first_names_.find(key);
    if (first == nullptr) {
      first_names_.try_emplace(key, links_.keep(entry.path));
      return false;
    }
    entry.type = EntryType::hardlink;
    entry.link = *first;
    entry.device = 0;
    entry.xattrs.clear();
    write(entry);
    return true;
  }

  /// The view has numbers of its own; what is in the upper must be known by the same ones however it is
  /// reached.
  InodeKey key_behind_view(const std::string& path, const struct ::stat& shown) const {
    const auto in_upper = try_stat_beneath(top_, path);
    return in_upper && !S_ISDIR(in_upper->st_mode) ? key_of(*in_upper) : key_of(shown);
  }

  /// A file of which overlay's index tells how many names it has.
  struct Linked {
    std::string_view path;
    std::int64_t names = 0;      ///< that were seen
    std::int64_t expected = -1;  ///< -1: not to be told
  };

  const UniqueFd& root_;  ///< as it was given, for overlay takes no folder of a detached mount
  const UniqueFd top_;
  const TreeKind kind_;
  InodeReader inodes_;
  const OpenLowers& lowers_;
  std::optional<MergedView> view_;
  TarStream out_;
  SpillScratch names_;        ///< of the folders on the stack
  std::deque<Folder> stack_;  // references into it stay good while folders are entered
  SpillMemory links_;
  SpillMap<InodeKey, std::string_view> first_names_;  ///< of inodes with several names
  SpillMap<InodeKey, Linked> linked_;
  DiffStats stats_;
};

}  // namespace

DiffStats write_diff(const UniqueFd& root, TreeKind kind, ByteSink& out, const OpenLowers& lowers,
                     const Spill& spill) {
  const OverlayIndex index = is_upper(kind) ? refuse_unnamed_changes(root) : OverlayIndex::none;
  DiffStats stats = Walk(root, kind, out, lowers, spill).run();
  stats.lacks_index = index == OverlayIndex::elsewhere;
  return stats;
}

}  // namespace lay::layerstore
