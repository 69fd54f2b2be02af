#include "layerstore/compare.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <map>
#include <memory_resource>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>

#include "base/cancel.h"
#include "base/error.h"
#include "base/spill_stack.h"
#include "base/syscalls.h"
#include "diff/inode.h"
#include "diff/sorted_names.h"
#include "layerstore/store_spill.h"
#include "overlay/same_inode.h"

namespace lay::layerstore {

namespace {

constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

/// Which names of a folder are looked at.
enum class Extent {
  touched,  ///< those in the touched folders
  whole,    ///< all in either tree: the folder itself was replaced
  added,    ///< all, and no folder was there before: by its path a symlink might lead to another one
};

using Status = std::optional<struct ::stat>;
using Folder = std::optional<UniqueFd>;

bool is_folder(const Status& status) {
  return status && S_ISDIR(status->st_mode);
}

std::uint64_t size_of(const Status& status) {
  return status && S_ISREG(status->st_mode) ? static_cast<std::uint64_t>(status->st_size) : 0;
}

Folder open_folder(const UniqueFd& root, const std::string& path) {
  return sys::try_open_in_root(root, path.empty() ? "." : path, kFolderFlags);
}

Status status_in(const Folder& folder, const std::string& name) {
  return folder ? sys::try_stat_at(*folder, name) : std::nullopt;
}

bool is_opaque(const UniqueFd& folder) {
  for (const char* name : {"trusted.overlay.opaque", "user.overlay.opaque"})
    if (sys::get_xattr(folder, name) == "y") return true;
  return false;
}

void add_names(const Folder& folder, SortedNames& names) {
  if (folder) each_entry(*folder, [&](const FolderEntry& entry) { names.add(entry.name, entry.type); });
}

class Comparison {
 public:
  Comparison(const UniqueFd& before, const UniqueFd& after, std::span<const UniqueFd> touched,
             const Spill& spill)
      : before_(before),
        after_(after),
        touched_(touched),
        spill_(spill),
        pending_(spill),
        names_(spill),
        memory_(spill),
        changes_(*memory_.make<Changes>(&memory_)) {}

  void run(const std::function<void(const Change& change)>& visit) {
    pending_.push("", Extent::touched);
    while (const auto next = pending_.pop()) {
      throw_if_cancelled();
      compare_folder(next->first, next->second);
    }
    for (const auto& [path, found] : changes_) {
      memory_.count_use();
      visit({found.kind, fmt::format("/{}", path), found.size, found.old_size});
    }
  }

 private:
  /// A Change without its path.
  struct Found {
    ChangeKind kind = ChangeKind::changed;
    std::uint64_t size = 0;
    std::uint64_t old_size = 0;
  };
  using Changes = std::pmr::map<std::string_view, Found>;

  void compare_folder(const std::string& path, Extent extent) {
    const Folder before = extent == Extent::added ? std::nullopt : open_folder(before_, path);
    const Folder after = open_folder(after_, path);
    const SpillScratch::Mark start = names_.mark();
    SortedNames names(names_);
    if (extent == Extent::touched) extent = add_touched_names(path, names);
    if (extent != Extent::touched) {
      add_names(before, names);
      add_names(after, names);
    }
    std::string last;  // a folder of each of several layers may have the name
    while (const auto found = names.next()) {
      if (found->name == last) continue;
      compare(before, after, path, found->name, extent);
      last = found->name;
    }
    names_.rewind(start);
  }

  /// `whole` when what lies below `path` in one stack does not show through.
  Extent add_touched_names(const std::string& path, SortedNames& names) {
    for (const UniqueFd& root : touched_) {
      const Folder folder = open_folder(root, path);
      if (!folder && sys::try_open_in_root(root, path, O_PATH | O_NOFOLLOW)) return Extent::whole;
      if (folder && is_opaque(*folder)) return Extent::whole;
      add_names(folder, names);
    }
    return Extent::touched;
  }

  void compare(const Folder& before, const Folder& after, const std::string& parent, const std::string& name,
               Extent extent) {
    const Status old_status = status_in(before, name);
    const Status status = status_in(after, name);
    const std::string path = parent.empty() ? name : parent + "/" + name;
    if (!old_status && !status) return;
    if (!status) {
      note(path, {ChangeKind::removed, 0, size_beneath(*before, name, *old_status)});
    } else if (!old_status) {
      note(path, {ChangeKind::added, size_of(status), 0});
      if (is_folder(status)) pending_.push(path, Extent::added);
    } else if ((old_status->st_mode & S_IFMT) != (status->st_mode & S_IFMT)) {
      note(path, {ChangeKind::changed, size_of(status), size_beneath(*before, name, *old_status)});
      if (is_folder(status)) pending_.push(path, Extent::added);
    } else {
      if (!is_same(*before, *old_status, *after, *status, name))
        note(path, {ChangeKind::changed, size_of(status), size_of(old_status)});
      if (is_folder(status)) pending_.push(path, extent);
    }
  }

  static bool is_same(const UniqueFd& before, const struct ::stat& old_status, const UniqueFd& after,
                      const struct ::stat& status, const std::string& name) {
    return are_same_inodes({before, name, old_status}, {after, name, status}) &&
           (!S_ISREG(status.st_mode) || have_same_content(before, after, name));
  }

  /// Data of the file, or of all files in the folder.
  std::uint64_t size_beneath(const UniqueFd& dir, const std::string& name,
                             const struct ::stat& status) const {
    if (!S_ISDIR(status.st_mode)) return size_of(status);
    std::uint64_t size = 0;
    const UniqueFd root = sys::open_dir(dir, name);
    SpillStack<std::monostate> folders(spill_);
    folders.push("", {});
    while (const auto next = folders.pop()) {
      throw_if_cancelled();
      const std::string& path = next->first;
      const Folder folder = open_folder(root, path);
      if (!folder) continue;
      each_entry(*folder, [&](const FolderEntry& entry) {
        const Status inner = sys::try_stat_at(*folder, entry.name);
        if (is_folder(inner)) folders.push(path + entry.name + "/", {});
        size += size_of(inner);
      });
    }
    return size;
  }

  /// Notes a difference, and that the folders on the way to it are changed.
  void note(std::string_view path, const Found& found) {
    memory_.count_use();
    path = memory_.keep(path);
    for (std::string_view folder = path; folder.find('/') != std::string_view::npos;) {
      folder = folder.substr(0, folder.rfind('/'));
      if (!changes_.try_emplace(folder).second) break;
    }
    changes_.insert_or_assign(path, found);
  }

  const UniqueFd& before_;
  const UniqueFd& after_;
  std::span<const UniqueFd> touched_;
  const Spill spill_;
  SpillStack<Extent> pending_;
  SpillScratch names_;  ///< of the folder that is looked at
  SpillMemory memory_;
  Changes& changes_;  ///< in there
};

}  // namespace

void compare_trees(const UniqueFd& before, const UniqueFd& after, std::span<const UniqueFd> touched,
                   const Store& store, const std::function<void(const Change& change)>& visit) {
  Comparison(before, after, touched, spill_in(store)).run(visit);
}

}  // namespace lay::layerstore
