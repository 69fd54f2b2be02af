#include "cgroup/resctrl.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

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
  if (is_bad) throw Error::make(Errc::invalid, "'{}' is no name of a class of resctrl", printable(name));
}

/// Of a line "L3:0=00f;1=F" the values by "L3:0" and "L3:1", without blanks and leading zeros.
std::map<std::string, std::string> values_of(std::string_view line) {
  std::string plain;
  for (const char c : to_lower(std::string(line)))
    if (c != ' ' && c != '\t') plain += c;
  const std::string resource = plain.substr(0, plain.find(':'));
  std::map<std::string, std::string> values;
  if (resource.size() == plain.size()) return values;
  for (const std::string& part : split(plain.substr(resource.size() + 1), ';')) {
    const std::size_t equals = part.find('=');
    if (equals == std::string::npos) continue;
    std::string value = part.substr(equals + 1);
    value.erase(0, std::min(value.find_first_not_of('0'), value.size() - 1));
    values[resource + ":" + part.substr(0, equals)] = std::move(value);
  }
  return values;
}

/// config-linux.md: of l3CacheSchema the lines "MB:" are nothing when there is a memBwSchema.
std::string wanted_schemata(const IntelRdt& rdt) {
  std::string text;
  for (const std::string& line : split(rdt.l3_schema, '\n'))
    if (!line.empty() && (rdt.memory_schema.empty() || !line.starts_with("MB:"))) text += line + "\n";
  for (const std::string& line : split(rdt.memory_schema, '\n'))
    if (!line.empty()) text += line + "\n";
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
      error.add_context(fmt::format(
          "{} schema '{}'", line.starts_with("MB:") ? "memory bandwidth" : "L3 cache", printable(line)));
      const std::string status = last_status(root);
      error.with_hint(status.empty() || status == "ok"
                          ? fmt::format("'cat {}/schemata' shows what there is to be had", root)
                          : "the kernel says: " + printable(status));
      throw;
    }
  }
}

/// Domains that are not named may have what they like.
void require_same(const std::string& folder, const IntelRdt& rdt) {
  const std::string schemata = wanted_schemata(rdt);
  if (schemata.empty()) return;
  std::map<std::string, std::string> present;
  for (const std::string& line : split(read_text(folder + "/schemata"), '\n')) present.merge(values_of(line));
  for (const std::string& line : split(schemata, '\n'))
    for (const auto& [domain, value] : values_of(line))
      if (present[domain] != value)
        throw Error::make(Errc::invalid, "class '{}' of resctrl is there, with another schema than '{}'",
                          printable(folder), printable(line))
            .with_hint("leave out the schemata to take it as it is");
}

std::string monitor_of(const std::string& folder, const std::string& id) {
  return fmt::format("{}/{}/{}", folder, kMonitors, id);
}

bool is_folder(const std::string& path) {
  const auto info = sys::try_stat_at(sys::cwd(), path);
  return info && S_ISDIR(info->st_mode);
}

}  // namespace

std::optional<std::string> try_find_resctrl() {
  for (const std::string& line : split(read_text("/proc/self/mountinfo"), '\n'))
    if (line.find(" - resctrl ") != std::string::npos) return split(line, ' ').at(4);
  return std::nullopt;
}

std::string class_folder(const std::string& root, const IntelRdt& rdt, const std::string& id) {
  return root + "/" + (rdt.class_id.empty() ? id : rdt.class_id);
}

std::string find_resctrl() {
  if (const std::optional<std::string> root = try_find_resctrl()) return *root;
  const bool is_known = read_text("/proc/filesystems").find("\tresctrl\n") != std::string::npos;
  throw Error(Errc::unsupported, "there is no resctrl file system, which classes and schemata need")
      .with_hint(is_known
                     ? "mount -t resctrl resctrl /sys/fs/resctrl"
                     : "this kernel or processor has none: do without --rdt-class, --l3-cache-schema and "
                       "--mem-bw-schema, or linux.intelRdt of a bundle");
}

ResctrlGroup ResctrlGroup::create(const std::string& root, const IntelRdt& rdt, const std::string& id) {
  const std::string& name = rdt.class_id.empty() ? id : rdt.class_id;
  check_class(name);
  ResctrlGroup group;
  const std::string folder = class_folder(root, rdt, id);
  const std::string schemata = wanted_schemata(rdt);
  if (is_folder(folder)) {
    require_same(folder, rdt);
  } else {
    if (!rdt.class_id.empty() && schemata.empty())
      throw Error::make(Errc::not_found, "there is no class '{}' of resctrl", printable(name))
          .with_hint("mkdir it beneath " + root + ", or say what it is to have");
    with_context("class of resctrl", [&] { sys::mkdir_at(sys::cwd(), folder, 0755); });
    group.made_.push_back(folder);
    write_schemata(root, folder, schemata);
  }
  group.folders_.push_back(folder);
  if (rdt.monitors_cache || rdt.monitors_memory) {
    std::string monitor = monitor_of(folder, id);
    with_context("monitor of resctrl", [&] { sys::mkdir_at(sys::cwd(), monitor, 0755); });
    group.made_.push_back(monitor);
    group.folders_.push_back(std::move(monitor));
  }
  if (!rdt.class_id.empty()) std::erase(group.made_, folder);
  return group;
}

std::vector<std::string> ResctrlGroup::own_folders(const std::string& root, const IntelRdt& rdt,
                                                   const std::string& id) {
  const std::string folder = class_folder(root, rdt, id);
  std::vector<std::string> folders;
  if (rdt.class_id.empty()) folders.push_back(folder);
  if (rdt.monitors_cache || rdt.monitors_memory) folders.push_back(monitor_of(folder, id));
  return folders;
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
    with_context(fmt::format("enter class '{}' of resctrl", printable(folder)),
                 [&] { sys::write_all(sys::open_at(sys::cwd(), folder + "/tasks", O_WRONLY), "0"); });
}

SchemataChange::SchemataChange(const std::string& root, std::string folder, const IntelRdt& wanted)
    : root_(root), folder_(std::move(folder)), before_(read_text(folder_ + "/schemata")) {
  try {
    write_schemata(root_, folder_, wanted_schemata(wanted));
  } catch (const Error&) {
    undo();
    throw;
  }
}

SchemataChange::SchemataChange(SchemataChange&& other) noexcept
    : root_(std::move(other.root_)),
      folder_(std::move(other.folder_)),
      before_(std::exchange(other.before_, {})) {}

SchemataChange& SchemataChange::operator=(SchemataChange&& other) noexcept {
  std::swap(root_, other.root_);
  std::swap(folder_, other.folder_);
  std::swap(before_, other.before_);
  return *this;
}

SchemataChange::~SchemataChange() {
  undo();
}

void SchemataChange::undo() noexcept {
  for (const std::string& line : split(before_, '\n')) {
    try {
      write_schemata(root_, folder_, line);
    } catch (const std::exception&) {
      // what failed before is what has to be said; the other lines are set again all the same
    }
  }
}

void remove_resctrl_folders(const std::vector<std::string>& made) {
  for (auto folder = made.rbegin(); folder != made.rend(); ++folder)
    sys::try_unlink_at(sys::cwd(), *folder, AT_REMOVEDIR);
}

}  // namespace lay::runner
