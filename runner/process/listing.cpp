#include "process/listing.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "cgroup/group.h"
#include "process/first_process.h"
#include "security/capabilities.h"

namespace lay::runner {

namespace {

constexpr std::size_t kMaxFile = 4 * 1024 * 1024;  // cmdline of a process with very many arguments
constexpr std::uint32_t kUnmapped = 65534;         // the kernel's overflowuid

/// "Uid:\t0\t0\t0\t0" and the like: the words behind the name.
std::map<std::string, std::vector<std::string>> status_lines(std::string_view status) {
  std::map<std::string, std::vector<std::string>> lines;
  for (const std::string& line : split(status, '\n')) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    std::string rest = line.substr(colon + 1);
    std::replace(rest.begin(), rest.end(), '\t', ' ');
    std::vector<std::string> words = split(rest, ' ');
    std::erase(words, "");
    lines[line.substr(0, colon)] = std::move(words);
  }
  return lines;
}

/// A file of /proc/<pid>; empty when the process has ended.
std::optional<std::string> read_of(const UniqueFd& process, const char* name) {
  try {
    return sys::read_all(sys::open_at(process, name, O_RDONLY), kMaxFile);
  } catch (const Error& error) {
    if (error.error_number() == ENOENT || error.error_number() == ESRCH) return std::nullopt;
    throw;
  }
}

std::string command_of(std::string cmdline, const std::string& name) {
  while (cmdline.ends_with('\0')) cmdline.pop_back();
  std::replace(cmdline.begin(), cmdline.end(), '\0', ' ');
  return cmdline.empty() ? "[" + name + "]" : cmdline;
}

/// attr/current: EINVAL says that no security module keeps labels.
std::string label_of(const UniqueFd& process) {
  try {
    std::string label = read_of(process, "attr/current").value_or("");
    label.resize(std::min(label.find_first_of(std::string_view("\n\0", 2)), label.size()));
    return label;
  } catch (const Error& error) {
    if (error.error_number() == EINVAL) return {};
    throw;
  }
}

/// A map of ids as /proc/<pid>/uid_map has it: "inside outside count", a line each.
std::vector<IdMapping> parse_id_map(std::string_view text) {
  std::vector<IdMapping> maps;
  for (const std::string& line : split(text, '\n')) {
    std::vector<std::string> words = split(line, ' ');
    std::erase(words, "");
    if (words.size() != 3) continue;
    const auto number = [&](std::size_t at) {
      return static_cast<std::uint32_t>(parse_number(words[at]).value_or(0));
    };
    maps.push_back({.container_id = number(0), .host_id = number(1), .size = number(2)});
  }
  return maps;
}

std::uint32_t inside_id(const std::vector<IdMapping>& maps, std::uint32_t host) {
  for (const IdMapping& map : maps)
    if (host >= map.host_id && host - map.host_id < map.size) return map.container_id + (host - map.host_id);
  return kUnmapped;
}

/// stat has its name in brackets, which may hold any byte, ')' too; field 3 of proc(5) comes behind them.
void add_stat(ProcessInfo& process, std::string_view stat) {
  const std::size_t open = stat.find('(');
  const std::size_t close = stat.rfind(')');
  const std::vector<std::string> fields =
      close == std::string_view::npos ? std::vector<std::string>{} : split(stat.substr(close + 1), ' ');
  constexpr std::size_t kLastField = 24;
  if (open == std::string_view::npos || open > close || fields.size() <= kLastField - 2)
    throw Error::make(Errc::invalid, "'{}' is no status of a process", printable(stat));
  const auto number = [&](std::size_t field) { return parse_number(fields[field - 2]).value_or(0); };
  const auto ticks = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  process.name = stat.substr(open + 1, close - open - 1);
  process.state = fields[1].empty() ? '?' : fields[1].front();
  process.host_parent = static_cast<pid_t>(number(4));
  process.terminal = static_cast<std::uint32_t>(number(7));
  process.processor = std::chrono::milliseconds((number(14) + number(15)) * 1000 / ticks);
  process.nice = std::strtol(fields[17].c_str(), nullptr, 10);  // field 19, with a sign
  process.threads = number(20);
  process.started = std::chrono::milliseconds(number(22) * 1000 / ticks);
  process.virtual_bytes = number(23);
  process.resident_bytes = number(24) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

void add_status(ProcessInfo& process, std::string_view status, std::size_t depth) {
  auto lines = status_lines(status);
  const auto word = [&](const char* name, std::size_t at) {
    const std::vector<std::string>& words = lines[name];
    return at < words.size() ? words[at] : std::string();
  };
  const auto id = [&](const char* name, std::size_t at) {
    return static_cast<std::uint32_t>(parse_number(word(name, at)).value_or(0));
  };
  const auto set_of = [&](const char* name) { return std::strtoull(word(name, 0).c_str(), nullptr, 16); };
  process.host_pid = static_cast<pid_t>(id("NSpid", 0));
  process.pid = static_cast<pid_t>(id("NSpid", depth));
  process.group = static_cast<pid_t>(id("NSpgid", depth));
  process.session = static_cast<pid_t>(id("NSsid", depth));
  process.real_uid = id("Uid", 0);
  process.uid = process.host_uid = id("Uid", 1);
  process.real_gid = id("Gid", 0);
  process.gid = process.host_gid = id("Gid", 1);
  for (std::size_t i = 0; i < lines["Groups"].size(); ++i) process.host_groups.push_back(id("Groups", i));
  process.groups = process.host_groups;
  process.inheritable = set_of("CapInh");
  process.permitted = set_of("CapPrm");
  process.effective = set_of("CapEff");
  process.bounding = set_of("CapBnd");
  process.ambient = set_of("CapAmb");
  process.seccomp = id("Seccomp", 0);
}

/// How many pid namespaces lie above that of the first process.
std::size_t namespace_depth(const FirstProcess& first) {
  const auto dir = sys::open_at(sys::cwd(), fmt::format("/proc/{}", first.pid), O_PATH | O_DIRECTORY);
  const auto status = read_of(dir, "status");
  const auto lines = status_lines(status.value_or(""));
  const auto pids = lines.find("NSpid");
  return pids == lines.end() || pids->second.empty() ? 0 : pids->second.size() - 1;
}

void translate_ids(std::vector<ProcessInfo>& processes, pid_t first) {
  const auto dir = sys::open_at(sys::cwd(), fmt::format("/proc/{}", first), O_PATH | O_DIRECTORY);
  const std::vector<IdMapping> uids = parse_id_map(read_of(dir, "uid_map").value_or(""));
  const std::vector<IdMapping> gids = parse_id_map(read_of(dir, "gid_map").value_or(""));
  for (ProcessInfo& process : processes) {
    process.uid = inside_id(uids, process.uid);
    process.real_uid = inside_id(uids, process.real_uid);
    process.gid = inside_id(gids, process.gid);
    process.real_gid = inside_id(gids, process.real_gid);
    for (std::uint32_t& group : process.groups) group = inside_id(gids, group);
  }
}

}  // namespace

ProcessInfo parse_process(std::string_view stat, std::string_view status, std::size_t depth) {
  ProcessInfo process;
  add_stat(process, stat);
  add_status(process, status, depth);
  return process;
}

std::optional<ProcessInfo> read_process(pid_t pid, std::size_t depth, const std::string& container_id) {
  const auto dir = sys::try_open_at(sys::cwd(), fmt::format("/proc/{}", pid), O_PATH | O_DIRECTORY);
  if (!dir) return std::nullopt;
  const auto stat = read_of(*dir, "stat");
  const auto status = read_of(*dir, "status");
  const auto cmdline = read_of(*dir, "cmdline");
  const auto cgroup = read_of(*dir, "cgroup");
  if (!stat || !status || !cmdline || !cgroup || cgroup->find("/" + container_id) == std::string::npos)
    return std::nullopt;
  ProcessInfo process = parse_process(*stat, *status, depth);
  process.command = command_of(*cmdline, process.name);
  process.label = label_of(*dir);
  return process;
}

std::vector<ProcessInfo> list_processes(const Container& container) {
  const FirstProcess first = open_first_process(container);
  const std::size_t depth = namespace_depth(first);
  std::vector<ProcessInfo> processes;
  for (const pid_t pid : list_group_processes(find_groups(cgroup_name_of(container.config()))))
    if (auto process = read_process(pid, depth, cgroup_name_of(container.config()).id))
      processes.push_back(std::move(*process));
  translate_ids(processes, first.pid);
  std::ranges::sort(processes, {}, &ProcessInfo::host_pid);
  for (ProcessInfo& process : processes) {
    const auto parent = std::ranges::find(processes, process.host_parent, &ProcessInfo::host_pid);
    process.parent = parent == processes.end() ? 0 : parent->pid;
  }
  return processes;
}

std::vector<std::string> capability_names(std::uint64_t set) {
  std::vector<std::string> names;
  for (int number = 0; number <= CAP_LAST_CAP; ++number)
    if ((set >> number & 1U) != 0) names.push_back(capability_name(number));
  return names;
}

}  // namespace lay::runner
