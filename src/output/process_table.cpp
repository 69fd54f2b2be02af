#include "output/process_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "base/error.h"
#include "base/text.h"
#include "output/listing.h"

namespace lay::cli {

namespace {

using runner::ProcessInfo;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// Root by name, since it is the same for everybody; others by number: their names stand in files that the
/// container may have written.
std::string user_text(std::uint32_t id) {
  return id == 0 ? "root" : std::to_string(id);
}

/// "[DD-]HH:MM:SS" or "MM:SS", as ps(1) prints them.
enum class Hours { always, when_needed };
std::string duration_text(milliseconds time, Hours hours) {
  const auto whole = std::max<std::int64_t>(0, std::chrono::duration_cast<seconds>(time).count());
  const std::int64_t days = whole / 86'400;
  const std::string rest = fmt::format("{:02}:{:02}", whole / 60 % 60, whole % 60);
  if (days > 0) return fmt::format("{}-{:02}:{}", days, whole / 3600 % 24, rest);
  if (hours == Hours::always || whole >= 3600) return fmt::format("{:02}:{}", whole / 3600, rest);
  return rest;
}

milliseconds since_boot() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return seconds(now.tv_sec) +
         std::chrono::duration_cast<milliseconds>(std::chrono::nanoseconds(now.tv_nsec));
}

milliseconds age_of(const ProcessInfo& process) {
  return since_boot() - process.started;
}

std::string processor_percent(const ProcessInfo& process) {
  const double age = std::max(1.0, static_cast<double>(age_of(process).count()));
  return fmt::format("{:.1f}", static_cast<double>(process.processor.count()) / age * 100);
}

/// Local time of today, else the day, as ps -f has it.
std::string start_text(const ProcessInfo& process) {
  const std::time_t now = std::time(nullptr);
  const std::time_t then = now - std::chrono::duration_cast<seconds>(age_of(process)).count();
  std::tm local{};
  ::localtime_r(&then, &local);
  std::array<char, 32> text{};
  const bool is_recent = now - then < 86'400;
  std::strftime(text.data(), text.size(), is_recent ? "%H:%M" : "%b%d", &local);
  return text.data();
}

/// Majors 136 to 143 are the pseudo-terminals (devices.txt).
std::string terminal_text(std::uint32_t device) {
  const std::uint32_t major = device >> 8 & 0xfffU;
  const std::uint32_t minor = (device & 0xffU) | (device >> 12 & 0xfff00U);
  if (device == 0) return "?";
  if (major >= 136 && major <= 143) return fmt::format("pts/{}", (major - 136) * 256 + minor);
  return fmt::format("{}:{}", major, minor);
}

std::string groups_text(const std::vector<std::uint32_t>& groups) {
  std::vector<std::string> texts;
  for (const std::uint32_t group : groups) texts.push_back(user_text(group));
  return join(texts, ",");
}

std::string capabilities_text(std::uint64_t set) {
  const std::vector<std::string> names = runner::capability_names(set);
  return names.empty() ? "none" : join(names, ",");
}

std::string seccomp_text(std::uint64_t mode) {
  constexpr std::array kModes{"disabled", "strict", "filter"};
  return mode < kModes.size() ? kModes[mode] : std::to_string(mode);
}

std::string kibibytes(std::uint64_t bytes) {
  return std::to_string(bytes / 1024);
}

/// A column by podman's descriptor and ps's names for it.
struct Descriptor {
  std::string_view names;  ///< separated by spaces
  const char* title;
  std::string (*text)(const ProcessInfo& process);
};

constexpr std::array kDescriptors{
    Descriptor{"user euser", "USER", [](const ProcessInfo& p) { return user_text(p.uid); }},
    Descriptor{"uid euid", "UID", [](const ProcessInfo& p) { return std::to_string(p.uid); }},
    Descriptor{"ruser", "RUSER", [](const ProcessInfo& p) { return user_text(p.real_uid); }},
    Descriptor{"ruid", "RUID", [](const ProcessInfo& p) { return std::to_string(p.real_uid); }},
    Descriptor{"huser", "HUSER", [](const ProcessInfo& p) { return user_text(p.host_uid); }},
    Descriptor{"group egroup", "GROUP", [](const ProcessInfo& p) { return user_text(p.gid); }},
    Descriptor{"gid egid", "GID", [](const ProcessInfo& p) { return std::to_string(p.gid); }},
    Descriptor{"rgroup", "RGROUP", [](const ProcessInfo& p) { return user_text(p.real_gid); }},
    Descriptor{"rgid", "RGID", [](const ProcessInfo& p) { return std::to_string(p.real_gid); }},
    Descriptor{"hgroup", "HGROUP", [](const ProcessInfo& p) { return user_text(p.host_gid); }},
    Descriptor{"groups supgrp", "GROUPS", [](const ProcessInfo& p) { return groups_text(p.groups); }},
    Descriptor{"hgroups", "HGROUPS", [](const ProcessInfo& p) { return groups_text(p.host_groups); }},
    Descriptor{"pid", "PID", [](const ProcessInfo& p) { return std::to_string(p.pid); }},
    Descriptor{"hpid", "HPID", [](const ProcessInfo& p) { return std::to_string(p.host_pid); }},
    Descriptor{"ppid", "PPID", [](const ProcessInfo& p) { return std::to_string(p.parent); }},
    Descriptor{"pgid pgrp", "PGID", [](const ProcessInfo& p) { return std::to_string(p.group); }},
    Descriptor{"sid sess session", "SID", [](const ProcessInfo& p) { return std::to_string(p.session); }},
    Descriptor{"pcpu %cpu", "%CPU", processor_percent},
    Descriptor{"c", "C",
               [](const ProcessInfo& p) {
                 const std::string text = processor_percent(p);
                 return text.substr(0, text.find('.'));
               }},
    Descriptor{"etime elapsed", "ELAPSED",
               [](const ProcessInfo& p) { return duration_text(age_of(p), Hours::when_needed); }},
    Descriptor{"stime start start_time", "STIME", start_text},
    Descriptor{"tty tt tname", "TTY", [](const ProcessInfo& p) { return terminal_text(p.terminal); }},
    Descriptor{"time cputime", "TIME",
               [](const ProcessInfo& p) { return duration_text(p.processor, Hours::always); }},
    Descriptor{"args cmd command", "COMMAND", [](const ProcessInfo& p) { return p.command; }},
    Descriptor{"comm ucmd", "COMMAND", [](const ProcessInfo& p) { return p.name; }},
    Descriptor{"state s stat", "STATE", [](const ProcessInfo& p) { return std::string(1, p.state); }},
    Descriptor{"nice ni", "NI", [](const ProcessInfo& p) { return std::to_string(p.nice); }},
    Descriptor{"nlwp thcount", "NLWP", [](const ProcessInfo& p) { return std::to_string(p.threads); }},
    Descriptor{"vsz vsize", "VSZ", [](const ProcessInfo& p) { return kibibytes(p.virtual_bytes); }},
    Descriptor{"rss rssize", "RSS", [](const ProcessInfo& p) { return kibibytes(p.resident_bytes); }},
    Descriptor{"capinh", "INHERITED CAPS",
               [](const ProcessInfo& p) { return capabilities_text(p.inheritable); }},
    Descriptor{"capprm", "PERMITTED CAPS",
               [](const ProcessInfo& p) { return capabilities_text(p.permitted); }},
    Descriptor{"capeff", "EFFECTIVE CAPS",
               [](const ProcessInfo& p) { return capabilities_text(p.effective); }},
    Descriptor{"capbnd", "BOUNDING CAPS", [](const ProcessInfo& p) { return capabilities_text(p.bounding); }},
    Descriptor{"capamb", "AMBIENT CAPS", [](const ProcessInfo& p) { return capabilities_text(p.ambient); }},
    Descriptor{"seccomp", "SECCOMP", [](const ProcessInfo& p) { return seccomp_text(p.seccomp); }},
    Descriptor{"label", "LABEL", [](const ProcessInfo& p) { return p.label.empty() ? "?" : p.label; }},
};

const Descriptor& find_descriptor(const std::string& wanted) {
  for (const Descriptor& descriptor : kDescriptors)
    for (const std::string& name : split(descriptor.names, ' '))
      if (name == to_lower(wanted)) return descriptor;
  std::vector<std::string> known;
  for (const Descriptor& descriptor : kDescriptors) known.push_back(split(descriptor.names, ' ').front());
  throw Error::make(Errc::invalid, "'{}' is no column", printable(wanted))
      .with_hint("these are: " + join(known, " "));
}

/// The columns that `words` ask for: podman's ("pid comm", "pid,comm"), or ps's where they are simple
/// ("-eo pid,comm", "-ef", "aux"); none is podman's default.
std::vector<std::string> parse_columns(std::vector<std::string> words) {
  constexpr const char* kDefault = "user,pid,ppid,%cpu,elapsed,tty,time,args";
  constexpr const char* kFull = "uid,pid,ppid,c,stime,tty,time,args";
  constexpr const char* kUsers = "user,pid,%cpu,vsz,rss,tty,stat,start,time,args";
  if (words.empty()) return split(kDefault, ',');
  const std::string first = words.front();
  if (words.size() == 1 && (first == "-ef" || first == "-f")) return split(kFull, ',');
  if (words.size() == 1 && (first == "aux" || first == "-aux")) return split(kUsers, ',');
  if (first == "-o" || first == "-eo") words.erase(words.begin());
  std::vector<std::string> columns;
  for (const std::string& word : words)
    for (const std::string& column : split(word, ','))
      if (!column.empty()) columns.push_back(column);
  if (columns.empty())
    throw Error::make(Errc::invalid, "'{}' names no column", printable(first)).with_hint("-eo pid,args");
  return columns;
}

/// The title, but its own name where another column beside it has that title.
std::string member_name(const Descriptor& descriptor, const std::vector<const Descriptor*>& chosen) {
  const auto has_its_title = [&](const Descriptor* other) {
    return other != &descriptor && std::string_view(other->title) == descriptor.title;
  };
  if (std::ranges::none_of(chosen, has_its_title)) return descriptor.title;
  return split(descriptor.names, ' ').front();
}

}  // namespace

void print_processes(const std::vector<ProcessInfo>& processes, std::vector<std::string> words,
                     const std::string& format) {
  std::vector<Column> columns;
  std::vector<const Descriptor*> chosen;
  for (const std::string& column : parse_columns(std::move(words))) {
    chosen.push_back(&find_descriptor(column));
    columns.push_back({.title = chosen.back()->title});
  }
  for (std::size_t i = 0; i < chosen.size(); ++i) columns[i].member = member_name(*chosen[i], chosen);
  std::vector<Json> rows;
  for (const ProcessInfo& process : processes) {
    Json row;
    for (std::size_t i = 0; i < chosen.size(); ++i) row[columns[i].member] = chosen[i]->text(process);
    rows.push_back(std::move(row));
  }
  print_listing(rows, columns, format);
}

}  // namespace lay::cli
