#include "file_place.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "base/mount.h"
#include "base/syscalls.h"

namespace lay::cli {

namespace {

constexpr int kMaxLinks = 40;  // as the kernel

std::string folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path().string() : ".";
}

std::string name_of(const std::filesystem::path& path) {
  return path.filename().string();
}

std::optional<struct ::stat> stat_in(const FilePlace& place) {
  struct ::stat found {};
  if (::fstatat(place.folder.get(), place.name.c_str(), &found, AT_SYMLINK_NOFOLLOW) < 0) return std::nullopt;
  return found;
}

/// The kernel's own guards, fs.protected_*, are narrower, and off on many machines.
bool may_be_trap(const FilePlace& place) {
  struct ::stat folder {};
  if (::fstat(place.folder.get(), &folder) < 0 || (folder.st_mode & S_IWOTH) == 0) return false;
  if (S_ISDIR(place.there->st_mode)) return false;
  return S_ISLNK(place.there->st_mode) || place.there->st_nlink > 1 || place.there->st_uid != ::geteuid();
}

UniqueFd open_folder_of(const std::string& path) {
  try {
    return sys::open_at(sys::cwd(), folder_of(path), O_RDONLY | O_DIRECTORY);
  } catch (Error& error) {
    if (error.error_number() == ENOENT)
      error.with_hint("there is no such folder: make it, or name a file in one that is there");
    throw;
  }
}

/// Sets `there` to whatever is at the end of the links, or to the first that may be a trap.
std::optional<FilePlace> follow(const std::string& path) {
  constexpr int kFolder = O_RDONLY | O_DIRECTORY;
  FilePlace place{.folder = open_folder_of(path), .name = name_of(path), .there = {}};
  for (int links = 0; links <= kMaxLinks; ++links) {
    place.there = stat_in(place);
    if (!place.there || !S_ISLNK(place.there->st_mode) || may_be_trap(place)) return place;
    if (filesystem_magic(place.folder) == PROC_SUPER_MAGIC) return std::nullopt;
    const auto target = sys::try_readlink_at(place.folder, place.name);
    auto folder = target ? sys::try_open_at(place.folder, folder_of(*target), kFolder) : std::nullopt;
    if (!folder) return std::nullopt;
    place.folder = *std::move(folder);
    place.name = name_of(*target);
  }
  return std::nullopt;
}

/// Whether the kernel comes from `path` to the same place.
bool is_end_of(const std::string& path, const FilePlace& place) {
  struct ::stat end {};
  if (::stat(path.c_str(), &end) < 0) return errno == ENOENT && !place.there;
  return place.there && end.st_dev == place.there->st_dev && end.st_ino == place.there->st_ino;
}

bool is_mounted(const FilePlace& place) {
  return is_mount_root(sys::open_at(place.folder, place.name, O_PATH | O_NOFOLLOW));
}

}  // namespace

std::optional<FilePlace> find_file_place(const std::string& path) {
  auto place = follow(path);
  if (!place || place->name.empty()) return std::nullopt;
  if (place->there && may_be_trap(*place)) {
    place->there.reset();
    return place;
  }
  if (!is_end_of(path, *place)) return std::nullopt;
  if (!place->there) return place;
  const bool is_file_of_one_name = S_ISREG(place->there->st_mode) && place->there->st_nlink == 1;
  if (!is_file_of_one_name || is_mounted(*place)) return std::nullopt;
  return place;
}

}  // namespace lay::cli
