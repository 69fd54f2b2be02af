#include "cgroup/group_name.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace lay::runner {

std::vector<std::string> parse_cgroup_path(const std::string& path) {
  constexpr std::size_t kLongestName = 255;
  std::vector<std::string> folders = split(path, '/');
  std::erase(folders, "");
  const bool is_good = !folders.empty() && std::ranges::all_of(folders, [](const std::string& name) {
    return name != "." && name != ".." && name.size() <= kLongestName && printable(name) == name;
  });
  if (!is_good)
    throw Error::make(Errc::invalid, "'{}' is no path of a cgroup", printable(path))
        .with_hint("/folder/of/yours, beneath the root of each cgroup hierarchy");
  return folders;
}

CgroupName cgroup_name_of(const ContainerConfig& config) {
  const std::string& path = config.spec.linux_.cgroups_path;
  if (path.empty()) return {config.id};
  std::vector<std::string> folders = parse_cgroup_path(path);
  std::string id = std::move(folders.back());
  folders.pop_back();
  if (folders.empty())
    throw Error::make(Errc::invalid, "cgroup path '{}' has no parent", printable(path))
        .with_hint("/PARENT/NAME");
  return {std::move(id), join(folders, "/")};
}

}  // namespace lay::runner
