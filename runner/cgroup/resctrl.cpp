#include "cgroup/resctrl.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ranges>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"

namespace lay::runner {

namespace {

constexpr std::size_t kMostText = 16 * 1024 * 1024;
constexpr const char* kMonitors = "mon_groups";

std::string read_text(const std::string& path) {
  return sys::read_all(sys::open_at(sys::cwd(), path, O_RDONLY), kMostText);
}

/// No way out of the file system, and none of the folders that the kernel has in each class.
void check_class(const std::string& name) {
  const bool is_bad = name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos ||
                      name.find('\n') != std::string::npos || name == "info" || name == kMonitors ||
                      name == "mon_data";
  if (is_bad)
    throw Error::make(Errc::invalid, "linux.intelRdt.closID '{}' is no name of a class", printable(name));
}

/// "L3:0=00f;1=f" without blanks and leading zeros of the masks.
std::string plain_line(std::string_view line) {
  std::string plain;
  for (const char c : line) {
    if (c == ' ' || c == '\t' || (c == '0' && plain.ends_with('='))) continue;
    plain += c;
  }
  return plain;
}

std::vector<std::string> plain_lines(const std::string& text) {
  std::vector<std::string> lines;
  for (const std::string& line : split(text, '\n'))
    if (std::string plain = plain_line(line); !plain.empty()) lines.push_back(std::move(plain));
  return lines;
}

std::string wanted_schemata(const IntelRdt& rdt) {
  std::string text;
  for (const std::string& part : {rdt.l3_schema, rdt.memory_schema})
    if (!part.empty()) text += part.ends_with('\n') ? part : part + "\n";
  return text;
}

/// What the kernel says of the last command; it keeps that beside its errno.
std::string last_status(const std::string& root) {
  const auto file = sys::try_open_at(sys::cwd(), root + "/info/last_cmd_status", O_RDONLY);
  std::string text = file ? sys::read_all(*file, kMostText) : std::string();
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

void write_schemata(const std::string& root, const std::string& folder, const std::string& text) {
  // One at a time, or those behind a wrong one would be in force or not as the kernel likes
  for (const std::string& line : split(text, '\n')) {
    if (line.empty()) continue;
    try {
      sys::write_all(sys::open_at(sys::cwd(), folder + "/schemata", O_WRONLY), line + "\n");
    } catch (Error& error) {
      error.add_context(fmt::format("linux.intelRdt: schema '{}'", printable(line)));
      if (const std::string status = last_status(root); !status.empty() && status != "ok")
        error.with_hint("the kernel says: " + printable(status));
      throw;
    }
  }
}

/// A mask that is wanted for one domain only says nothing of the others.
void require_same(const std::string& folder, const IntelRdt& rdt) {
  const std::vector<std::string> present = plain_lines(read_text(folder + "/schemata"));
  for (const std::string& wanted : plain_lines(wanted_schemata(rdt)))
    if (std::ranges::find(present, wanted) == present.end())
      throw Error::make(Errc::invalid, "linux.intelRdt: class '{}' is there, with another schema than '{}'",
                        printable(folder), printable(wanted))
          .with_hint("leave out the schemata to take it as it is");
}

bool is_folder(const std::string& path) {
  const auto info = sys::try_stat_at(sys::cwd(), path);
  return info && S_ISDIR(info->st_mode);
}

}  // namespace

std::string find_resctrl() {
  for (const std::string& line : split(read_text("/proc/self/mountinfo"), '\n'))
    if (line.find(" - resctrl ") != std::string::npos) return split(line, ' ').at(4);
  const bool is_known = read_text("/proc/filesystems").find("\tresctrl\n") != std::string::npos;
  throw Error(Errc::unsupported, "linux.intelRdt: there is no resctrl file system")
      .with_hint(is_known ? "mount -t resctrl resctrl /sys/fs/resctrl"
                          : "this kernel or processor has none; leave it out");
}

ResctrlGroup ResctrlGroup::create(const std::string& root, const IntelRdt& rdt, const std::string& id) {
  const std::string& name = rdt.class_id.empty() ? id : rdt.class_id;
  check_class(name);
  ResctrlGroup group;
  const std::string folder = root + "/" + name;
  const std::string schemata = wanted_schemata(rdt);
  if (is_folder(folder)) {
    require_same(folder, rdt);
  } else {
    if (!rdt.class_id.empty() && schemata.empty())
      throw Error::make(Errc::not_found, "linux.intelRdt: there is no class '{}'", printable(name))
          .with_hint("mkdir it beneath " + root + ", or say what it is to have");
    with_context("linux.intelRdt", [&] { sys::mkdir_at(sys::cwd(), folder, 0755); });
    group.made_.push_back(folder);
    write_schemata(root, folder, schemata);
  }
  group.folders_.push_back(folder);
  if (rdt.monitors_cache || rdt.monitors_memory) {
    std::string monitor = fmt::format("{}/{}/{}", folder, kMonitors, id);
    with_context("linux.intelRdt: monitor", [&] { sys::mkdir_at(sys::cwd(), monitor, 0755); });
    group.made_.push_back(monitor);
    group.folders_.push_back(std::move(monitor));
  }
  return group;
}

ResctrlGroup ResctrlGroup::open(std::vector<std::string> folders) {
  ResctrlGroup group;
  group.folders_ = std::move(folders);
  return group;
}

ResctrlGroup::~ResctrlGroup() {
  try {
    remove_resctrl_folders(made_);
  } catch (const Error&) {
    // what failed before is what has to be said
  }
}

void ResctrlGroup::enter() const {
  for (const std::string& folder : folders_)  // 0: the caller
    with_context(fmt::format("linux.intelRdt: enter '{}'", printable(folder)),
                 [&] { sys::write_all(sys::open_at(sys::cwd(), folder + "/tasks", O_WRONLY), "0"); });
}

void remove_resctrl_folders(const std::vector<std::string>& made) {
  for (const std::string& folder : std::views::reverse(made))
    if (::rmdir(folder.c_str()) < 0 && errno != ENOENT)
      throw Error::from_errno("remove '{}'", printable(folder));
}

}  // namespace lay::runner
