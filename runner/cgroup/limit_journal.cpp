#include "cgroup/limit_journal.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "cgroup/group.h"

namespace lay::runner {

namespace {

/// What a device's line says when there is none, by the file's name; empty for files without such lines.
std::string_view unlimited_device(std::string_view file) {
  if (file == "io.max") return "rbps=max wbps=max riops=max wiops=max";
  if (file == "io.weight" || file == "io.bfq.weight") return "default";
  if (file == "io.latency") return "target=0";
  if (file.starts_with("blkio.") && file.ends_with("_device")) return "0";
  return {};
}

std::map<std::string, std::string> lines_by_device(std::string_view text) {
  std::map<std::string, std::string> lines;
  for (const std::string& line : split(std::string(text), '\n'))
    if (!line.empty()) lines.emplace(line.substr(0, line.find(' ')), line);
  return lines;
}

}  // namespace

std::vector<std::string> writes_to_restore(std::string_view file, std::string_view before,
                                           std::string_view now) {
  if (before == now) return {};
  if (const std::string_view none = unlimited_device(file); !none.empty()) {
    std::vector<std::string> writes;
    const auto old_lines = lines_by_device(before);
    const auto new_lines = lines_by_device(now);
    for (const auto& [device, line] : new_lines)
      if (!old_lines.contains(device)) writes.push_back(fmt::format("{} {}", device, none));
    for (const auto& [device, line] : old_lines)
      if (const auto found = new_lines.find(device); found == new_lines.end() || found->second != line)
        writes.push_back(line);
    return writes;
  }
  if (file == "memory.oom_control") {  // read as "oom_kill_disable 0", written as "0"
    const std::string value(before.substr(0, before.find('\n')));
    return {value.substr(value.find(' ') + 1)};
  }
  return {before.empty() ? "\n" : std::string(before)};
}

void LimitJournal::note(const UniqueFd& dir, const std::string& file) {
  const auto is_same = [&](const Entry& entry) {
    return entry.file == file && sys::stat_of(entry.dir).st_ino == sys::stat_of(dir).st_ino;
  };
  if (std::ranges::any_of(entries_, is_same)) return;
  try {
    entries_.push_back({.dir = sys::dup_fd(dir), .file = file, .before = read_group_file(dir, file)});
  } catch (const Error&) {
    // Written only, or not there: then the write says so
  }
}

void LimitJournal::restore() const {
  for (int round = 0; round < 2; ++round)
    for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) try {
        for (const std::string& text :
             writes_to_restore(entry->file, entry->before, read_group_file(entry->dir, entry->file)))
          write_group_file(entry->dir, entry->file, text);
      } catch (const Error&) {
        // Again in the second round; why the update was refused is what the user wants to know
      }
}

}  // namespace lay::runner
