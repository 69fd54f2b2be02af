#include "cgroup/parent.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "cgroup/group.h"
#include "cgroup/group_name.h"

namespace lay::runner {

namespace {

constexpr int kFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
/// Whose folders of others' paths are gone with the last container; those that were there before stay.
constexpr const char* kMadeHere = "trusted.lay.made";

bool try_enable(const UniqueFd& dir, const std::string& controllers) {
  try {
    write_group_file(dir, "cgroup.subtree_control", controllers);
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// A group with processes takes controllers of threads alone, and becomes threaded itself by that: none but
/// the root, which has no type, can have both. cgroups(7), "Thread mode".
bool has_internal_processes(const UniqueFd& dir) {
  return sys::try_stat_at(dir, "cgroup.type") && !read_group_file(dir, "cgroup.procs").empty();
}

/// Lets the children of `dir` use what of `wanted` this group may use. A controller that cannot be passed on
/// (processes of others in the group, real-time processes) matters only to a limit that needs it: that one
/// then fails, naming its flag.
void enable_v2_controllers(const UniqueFd& dir, const std::vector<std::string>& wanted) {
  std::vector<std::string> changes;
  for (const std::string& controller : split(read_group_file(dir, "cgroup.controllers"), ' '))
    if (std::ranges::find(wanted, controller) != wanted.end()) changes.push_back("+" + controller);
  // Of the controllers that threads can have the kernel takes each; of others it takes none above processes
  const bool is_for_groups = std::ranges::any_of(changes, [](const std::string& change) {
    return change == "+memory" || change == "+io" || change == "+hugetlb";
  });
  if (!is_for_groups && has_internal_processes(dir)) return;
  if (changes.empty() || try_enable(dir, join(changes, " "))) return;
  if (has_internal_processes(dir)) return;
  for (const std::string& change : changes) try_enable(dir, change);
}

/// Where marks cannot be set (no CAP_SYS_ADMIN over the machine) the folder stays behind.
void mark(const UniqueFd& dir) {
  try {
    sys::set_xattr(dir, kMadeHere, "1");
  } catch (const Error&) {
    return;
  }
}

/// One of a path that the user gave; lay's own needs no mark.
UniqueFd make_folder(const UniqueFd& above, const std::string& name, const std::string& path) {
  const bool is_new = sys::try_mkdir_at(above, name, 0755);
  UniqueFd folder = sys::open_at(above, name, kFolder);
  if (is_new && path != kOwnParent) mark(folder);
  return folder;
}

bool is_marked(const UniqueFd& above, const std::string& name) {
  const auto folder = sys::try_open_at(above, name, kFolder);
  return folder && sys::get_xattr(*folder, kMadeHere);
}

/// False, as it should be, while others have groups or processes in it.
bool try_remove_folder(const UniqueFd& dir, const std::string& path) {
  try {
    return sys::try_unlink_at(dir, path, AT_REMOVEDIR);
  } catch (const Error&) {
    return false;
  }
}

UniqueFd open_root(const CgroupHierarchy& hierarchy) {
  return sys::open_at(sys::cwd(), hierarchy.mount_point, O_RDONLY | O_DIRECTORY);
}

/// Of a parent: empty for the root of the hierarchy.
std::vector<std::string> folders_of(const std::string& path) {
  return path.empty() ? std::vector<std::string>() : parse_cgroup_path(path);
}

}  // namespace

/// Copies cpuset.cpus and cpuset.mems down from `parent` where `dir` has none yet.
void inherit_cpuset(const UniqueFd& parent, const UniqueFd& dir) {
  for (const char* file : {"cpuset.cpus", "cpuset.mems"})
    if (read_group_file(dir, file).empty()) write_group_file(dir, file, read_group_file(parent, file));
}

UniqueFd make_parent(const CgroupHierarchy& hierarchy, const std::string& path,
                     const std::vector<std::string>& controllers) {
  UniqueFd root = open_root(hierarchy);
  const bool is_v2 = hierarchy.version == CgroupVersion::v2;
  const bool is_v1_cpuset = !is_v2 && hierarchy.has("cpuset");
  if (is_v2) enable_v2_controllers(root, controllers);
  UniqueFd folder;
  for (const std::string& name : folders_of(path)) {
    const UniqueFd& above = folder ? folder : root;
    UniqueFd next = make_folder(above, name, path);
    if (is_v1_cpuset) inherit_cpuset(above, next);
    folder = std::move(next);
    if (is_v2) enable_v2_controllers(folder, controllers);
  }
  return folder ? std::move(folder) : std::move(root);
}

void remove_parent(const CgroupHierarchy& hierarchy, const std::string& path) {
  if (path == kOwnParent) {
    try_remove_folder(sys::cwd(), hierarchy.mount_point + "/" + path);
    return;
  }
  const UniqueFd root = open_root(hierarchy);
  for (std::vector<std::string> folders = folders_of(path); !folders.empty(); folders.pop_back()) {
    const std::string folder = join(folders, "/");
    if (!is_marked(root, folder) || !try_remove_folder(root, folder)) return;
  }
}

}  // namespace lay::runner
