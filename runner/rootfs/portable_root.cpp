#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string_view>
#include <system_error>

#include "base/mount.h"
#include "base/syscalls.h"
#include "rootfs/mount_options.h"
#include "rootfs/mount_target.h"
#include "runner/portable.h"

namespace lay::runner {

namespace {

bool lies_beneath(std::string_view path, std::string_view folder) {
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

/// A mount that comes before covers the place: nothing in the root is its mount point.
bool is_covered(const Spec& spec, const Mount& mount) {
  for (const Mount& earlier : spec.mounts) {
    if (&earlier == &mount) return false;
    if (lies_beneath(mount.destination, earlier.destination)) return true;
  }
  return false;
}

TargetKind kind_of(const Mount& mount) {
  std::error_code ignored;
  const bool is_file = is_bind(mount) && std::filesystem::exists(mount.source, ignored) &&
                       !std::filesystem::is_directory(mount.source, ignored);
  return is_file ? TargetKind::file : TargetKind::folder;
}

/// Where in `root` an open place lies.
std::string path_in(const UniqueFd& root, const UniqueFd& place) {
  const std::string base = sys::readlink_at(sys::cwd(), fd_path(root));
  const std::string path = sys::readlink_at(sys::cwd(), fd_path(place));
  return lies_beneath(path, base) ? path.substr(base.size() + 1) : std::string();
}

}  // namespace

std::vector<std::string> make_mount_points(const UniqueFd& root, const Spec& spec) {
  for (const char* name : {"proc", "sys", "dev"}) require_real_folder(root, name);
  std::set<std::string> points;
  for (const Mount& mount : spec.mounts) {
    if (is_covered(spec, mount)) continue;
    std::string path = path_in(root, make_target(root, mount.destination, kind_of(mount)));
    while (!path.empty() && points.insert(path).second)
      path.resize(path.find('/') == std::string::npos ? 0 : path.rfind('/'));
  }
  return {points.begin(), points.end()};
}

}  // namespace lay::runner
