#include "cgroup/layout.h"

#include <fcntl.h>

#include <algorithm>
#include <mutex>
#include <optional>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"

namespace lay::runner {

namespace {

constexpr std::size_t kMaxProcFile = 16 * 1024 * 1024;  // mountinfo of a machine with very many mounts

std::string read_proc(const std::string& path) {
  return sys::read_all(sys::open_at(sys::cwd(), path, O_RDONLY), kMaxProcFile);
}

/// The fields of one line of mountinfo that matter here.
struct MountLine {
  std::string mount_point;
  std::string type;
  std::vector<std::string> super_options;
};

/// mountinfo writes space, tab, newline and backslash as three octal digits.
std::string unescape_octal(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      result += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

/// "36 35 98:0 /root /point rw - type source super,options", with any number of fields before the "-".
std::optional<MountLine> parse_mount_line(std::string_view line) {
  const std::vector<std::string> fields = split(line, ' ');
  const auto dash = std::find(fields.begin(), fields.end(), "-");
  if (dash - fields.begin() < 6 || fields.end() - dash < 4) return std::nullopt;
  return MountLine{.mount_point = unescape_octal(fields[4]),
                   .type = *(dash + 1),
                   .super_options = split(*(dash + 3), ',')};
}

bool is_mount_of(const MountLine& line, const CgroupHierarchy& hierarchy) {
  if (hierarchy.version == CgroupVersion::v2) return line.type == "cgroup2";
  if (line.type != "cgroup") return false;
  const std::vector<std::string> names = split(hierarchy.name, ',');
  return std::all_of(names.begin(), names.end(), [&](const std::string& name) {
    return std::find(line.super_options.begin(), line.super_options.end(), name) != line.super_options.end();
  });
}

std::vector<std::string> read_v2_controllers(const std::string& mount_point) {
  const UniqueFd root = sys::open_at(sys::cwd(), mount_point, O_PATH | O_DIRECTORY);
  std::string text = sys::read_all(sys::open_at(root, "cgroup.controllers", O_RDONLY), 4096);
  if (text.ends_with('\n')) text.pop_back();
  return text.empty() ? std::vector<std::string>{} : split(text, ' ');
}

std::vector<CgroupHierarchy> read_cgroup_hierarchies() {
  std::vector<CgroupHierarchy> result = parse_proc_cgroup(read_proc("/proc/self/cgroup"));
  add_mount_points(result, read_proc("/proc/self/mountinfo"));
  std::erase_if(result, [](const CgroupHierarchy& hierarchy) { return hierarchy.mount_point.empty(); });
  for (CgroupHierarchy& hierarchy : result)
    if (hierarchy.version == CgroupVersion::v2)
      hierarchy.controllers = read_v2_controllers(hierarchy.mount_point);
  return result;
}

}  // namespace

bool CgroupHierarchy::has(std::string_view controller) const {
  return std::find(controllers.begin(), controllers.end(), controller) != controllers.end();
}

std::vector<CgroupHierarchy> parse_proc_cgroup(std::string_view text) {
  std::vector<CgroupHierarchy> result;
  for (const std::string& line : split(text, '\n')) {
    if (line.empty()) continue;
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos)
      throw Error::make(Errc::invalid, "unexpected line '{}' in '/proc/self/cgroup'", printable(line));
    CgroupHierarchy hierarchy{.name = line.substr(first + 1, second - first - 1)};
    if (hierarchy.name.empty())
      hierarchy.version = CgroupVersion::v2;
    else
      hierarchy.controllers = split(hierarchy.name, ',');
    result.push_back(std::move(hierarchy));
  }
  return result;
}

void add_mount_points(std::vector<CgroupHierarchy>& hierarchies, std::string_view mountinfo) {
  for (const std::string& text : split(mountinfo, '\n')) {
    const std::optional<MountLine> line = parse_mount_line(text);
    if (!line) continue;
    for (CgroupHierarchy& hierarchy : hierarchies)
      if (hierarchy.mount_point.empty() && is_mount_of(*line, hierarchy))
        hierarchy.mount_point = line->mount_point;
  }
}

const std::vector<CgroupHierarchy>& find_cgroup_hierarchies() {
  static std::mutex reading;
  static std::vector<CgroupHierarchy> found;
  const std::scoped_lock lock(reading);
  if (found.empty()) found = read_cgroup_hierarchies();  // again when there were none: the machine starts up
  return found;
}

std::string cgroup_folder_name(const CgroupHierarchy& hierarchy) {
  if (hierarchy.version == CgroupVersion::v2) return "unified";
  constexpr std::string_view kNamed = "name=";
  return hierarchy.name.starts_with(kNamed) ? hierarchy.name.substr(kNamed.size()) : hierarchy.name;
}

}  // namespace lay::runner
