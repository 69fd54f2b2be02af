#include <array>

#include "base/error.h"
#include "base/text.h"
#include "cgroup/counters.h"
#include "cgroup/limits.h"
#include "oci/bundle.h"
#include "oci/store.h"

namespace lay::runner {

namespace {

using Groups = std::vector<CgroupGroup>;

constexpr std::uint64_t kMicrosecond = 1000;  // in nanoseconds, in which runc counts

Json v1_processor(const Groups& groups) {
  const auto stat = try_read(groups, CgroupVersion::v1, "cpu.stat");
  Json usage{{"total", number_of(try_read(groups, CgroupVersion::v1, "cpuacct.usage")).value_or(0)},
             {"user", number_of(try_read(groups, CgroupVersion::v1, "cpuacct.usage_user")).value_or(0)},
             {"kernel", number_of(try_read(groups, CgroupVersion::v1, "cpuacct.usage_sys")).value_or(0)}};
  for (const std::string& word :
       split(try_read(groups, CgroupVersion::v1, "cpuacct.usage_percpu").value_or(""), ' '))
    if (const auto time = parse_number(word)) usage["percpu"].push_back(*time);
  return {{"usage", usage},
          {"throttling",
           {{"periods", value_of(stat, "nr_periods").value_or(0)},
            {"throttledPeriods", value_of(stat, "nr_throttled").value_or(0)},
            {"throttledTime", value_of(stat, "throttled_time").value_or(0)}}}};
}

Json v2_processor(const Groups& groups) {
  const auto stat = try_read(groups, CgroupVersion::v2, "cpu.stat");
  const auto time = [&](const char* key) { return value_of(stat, key).value_or(0) * kMicrosecond; };
  return {{"usage",
           {{"total", time("usage_usec")}, {"user", time("user_usec")}, {"kernel", time("system_usec")}}},
          {"throttling",
           {{"periods", value_of(stat, "nr_periods").value_or(0)},
            {"throttledPeriods", value_of(stat, "nr_throttled").value_or(0)},
            {"throttledTime", time("throttled_usec")}}}};
}

Json processor(const Groups& groups) {
  const bool is_v1 = try_read(groups, CgroupVersion::v1, "cpuacct.usage").has_value();
  return is_v1 ? v1_processor(groups) : v2_processor(groups);
}

Json memory_of(const Groups& groups, const char* used, const char* used_v2, const char* limit,
               const char* limit_v2) {
  return {{"usage", number_of(try_read(groups, used, used_v2)).value_or(0)},
          {"limit", number_of(try_read(groups, limit, limit_v2)).value_or(UINT64_MAX)}};
}

/// Memory and swap, as v1 counts them and the runtime-spec limits them.
Json swap_of(const Groups& groups) {
  const auto here = [&](const char* file) { return number_of(try_read(groups, CgroupVersion::v2, file)); };
  const auto swap = here("memory.swap.current");
  if (!swap)
    return memory_of(groups, "memory.memsw.usage_in_bytes", "memory.swap.current",
                     "memory.memsw.limit_in_bytes", "memory.swap.max");
  const auto most = here("memory.max");
  const auto most_swap = here("memory.swap.max");
  return {{"usage", here("memory.current").value_or(0) + *swap},
          {"limit", most && most_swap ? *most + *most_swap : UINT64_MAX}};
}

Json memory(const Groups& groups) {
  Json raw = Json::object();
  const auto stat = try_read(groups, "memory.stat", "memory.stat");
  for (const std::string& line : split(stat.value_or(""), '\n')) {
    const std::size_t space = line.find(' ');
    if (space == std::string::npos) continue;
    if (const auto value = parse_number(line.substr(space + 1))) raw[line.substr(0, space)] = *value;
  }
  Json usage =
      memory_of(groups, "memory.usage_in_bytes", "memory.current", "memory.limit_in_bytes", "memory.max");
  usage["max"] = number_of(try_read(groups, "memory.max_usage_in_bytes", "memory.peak")).value_or(0);
  usage["failcnt"] = number_of(try_read(groups, CgroupVersion::v1, "memory.failcnt")).value_or(0);
  return {{"usage", usage}, {"swap", swap_of(groups)}, {"raw", raw}};
}

/// "8:0 Read 4096" of v1, "8:0 rbytes=4096 …" of v2.
Json block_io(const Groups& groups) {
  Json bytes = Json::array();
  const auto add = [&](const std::string& device, const std::string& op, const std::string& value) {
    const std::vector<std::string> numbers = split(device, ':');
    const auto count = parse_number(value);
    if (numbers.size() != 2 || !count) return;
    bytes.push_back({{"major", parse_number(numbers[0]).value_or(0)},
                     {"minor", parse_number(numbers[1]).value_or(0)},
                     {"op", op},
                     {"value", *count}});
  };
  const auto text = try_read(groups, "blkio.throttle.io_service_bytes_recursive", "io.stat");
  for (const std::string& line : split(text.value_or(""), '\n')) {
    const std::vector<std::string> words = split(line, ' ');
    if (words.size() == 3 && words[1].find('=') == std::string::npos) add(words[0], words[1], words[2]);
    for (const std::string& word : words) {
      if (word.starts_with("rbytes=")) add(words[0], "Read", word.substr(7));
      if (word.starts_with("wbytes=")) add(words[0], "Write", word.substr(7));
    }
  }
  return {{"ioServiceBytesRecursive", bytes}};
}

Json huge_pages(const Groups& groups) {
  constexpr std::array kSizes{"2MB", "1GB", "64KB", "32MB"};
  Json pages = Json::object();
  for (const char* size : kSizes) {
    const std::string file = fmt::format("hugetlb.{}.", size);
    const auto used =
        number_of(try_read(groups, (file + "usage_in_bytes").c_str(), (file + "current").c_str()));
    if (!used) continue;
    pages[size] = {{"usage", *used}};
    const auto v1 = [&](const char* name) {
      return number_of(try_read(groups, CgroupVersion::v1, (file + name).c_str()));
    };
    if (const auto most = v1("max_usage_in_bytes")) pages[size]["max"] = *most;
    const auto events = try_read(groups, CgroupVersion::v2, (file + "events").c_str());
    pages[size]["failcnt"] = v1("failcnt").value_or(value_of(events, "max").value_or(0));
  }
  return pages;
}

}  // namespace

Json oci_stats(const OciStore& store, const std::string& id) {
  const OciContainer container = store.find(id);
  if (container.status() == OciStatus::stopped)
    throw Error::make(Errc::invalid, "container not running: '{}'", id);
  const Groups groups = groups_of(container);
  return {{"cpu", processor(groups)},
          {"memory", memory(groups)},
          {"pids",
           {{"current", number_of(try_read(groups, "pids.current", "pids.current")).value_or(0)},
            {"limit", number_of(try_read(groups, "pids.max", "pids.max")).value_or(0)}}},
          {"blkio", block_io(groups)},
          {"hugetlb", huge_pages(groups)}};
}

std::uint64_t oci_oom_kills(const OciStore& store, const std::string& id) {
  return count_oom_kills(groups_of(store.find(id)));
}

}  // namespace lay::runner
