#include "runner/stats.h"

#include <fcntl.h>
#include <sys/sysinfo.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "cgroup/counters.h"
#include "cgroup/group.h"
#include "process/first_process.h"
#include "process/process.h"

namespace lay::runner {

namespace {

constexpr std::size_t kMaxFile = 1024 * 1024;

std::optional<std::chrono::nanoseconds> processor_time(const std::vector<CgroupGroup>& groups) {
  if (const auto used = number_of(try_read(groups, CgroupVersion::v1, "cpuacct.usage")))
    return std::chrono::nanoseconds(*used);
  if (const auto used = value_of(try_read(groups, CgroupVersion::v2, "cpu.stat"), "usage_usec"))
    return std::chrono::microseconds(*used);
  return std::nullopt;
}

/// Inactive file pages go first when memory is wanted: docker and podman do not count them either.
void add_memory(const std::vector<CgroupGroup>& groups, Stats& stats) {
  const auto used = number_of(try_read(groups, "memory.usage_in_bytes", "memory.current"));
  if (!used) return;
  const auto text = try_read(groups, "memory.stat", "memory.stat");
  const auto whole_tree = value_of(text, "total_inactive_file");  // v1's, with subgroups
  const std::uint64_t idle = whole_tree ? *whole_tree : value_of(text, "inactive_file").value_or(0);
  stats.memory = *used - std::min(idle, *used);
  struct sysinfo machine {};
  if (::sysinfo(&machine) < 0) throw Error::from_errno("sysinfo");
  const std::uint64_t whole = std::uint64_t{machine.totalram} * machine.mem_unit;
  stats.memory_limit =
      std::min(whole, number_of(try_read(groups, "memory.limit_in_bytes", "memory.max")).value_or(whole));
}

/// v1: "8:0 Read 4096"; v2: "8:0 rbytes=4096 wbytes=0 …" (blkio-controller.rst, cgroup-v2.rst "IO").
void add_block(const std::vector<CgroupGroup>& groups, Stats& stats) {
  const auto text = try_read(groups, "blkio.throttle.io_service_bytes_recursive", "io.stat");
  if (!text) return;
  stats.block_read = stats.block_written = 0;
  for (const std::string& line : split(*text, '\n')) {
    const std::vector<std::string> words = split(line, ' ');
    if (words.size() == 3 && words[1] == "Read") *stats.block_read += parse_number(words[2]).value_or(0);
    if (words.size() == 3 && words[1] == "Write") *stats.block_written += parse_number(words[2]).value_or(0);
    for (const std::string& word : words) {
      if (word.starts_with("rbytes=")) *stats.block_read += parse_number(word.substr(7)).value_or(0);
      if (word.starts_with("wbytes=")) *stats.block_written += parse_number(word.substr(7)).value_or(0);
    }
  }
}

/// Of a zombie /proc/<pid>/net is empty, and of one that is gone there is none.
void add_links(pid_t pid, Stats& stats) {
  const auto fd = sys::try_open_at(sys::cwd(), fmt::format("/proc/{}/net/dev", pid), O_RDONLY);
  if (!fd) return;
  const LinkBytes bytes = parse_net_dev(sys::read_all(*fd, kMaxFile));
  stats.received = bytes.received;
  stats.sent = bytes.sent;
}

}  // namespace

LinkBytes parse_net_dev(std::string_view text) {
  constexpr std::size_t kSentField = 8;  // after eight of what was received
  LinkBytes bytes;
  for (const std::string& line : split(text, '\n')) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;  // the headings
    const std::size_t begin = line.find_first_not_of(' ');
    if (line.substr(begin, colon - begin) == "lo") continue;
    std::vector<std::string> fields = split(line.substr(colon + 1), ' ');
    std::erase(fields, "");
    if (fields.size() <= kSentField) continue;
    bytes.received += parse_number(fields[0]).value_or(0);
    bytes.sent += parse_number(fields[kSentField]).value_or(0);
  }
  return bytes;
}

double processor_percent(const Stats& before, const Stats& after) {
  const auto wall = std::chrono::duration<double>(after.taken - before.taken).count();
  if (!before.processor || !after.processor || *after.processor < *before.processor || wall <= 0) return 0;
  return std::chrono::duration<double>(*after.processor - *before.processor).count() / wall * 100;
}

std::optional<Stats> read_stats(const Container& container) {
  const auto process = try_open_first_process(container);
  if (!process) return std::nullopt;
  const std::vector<CgroupGroup> groups = find_groups(cgroup_name_of(container.config()));
  Stats stats{.taken = std::chrono::steady_clock::now(), .processor = processor_time(groups)};
  add_memory(groups, stats);
  stats.processes = number_of(try_read(groups, "pids.current", "pids.current"));
  add_block(groups, stats);
  if (container.config().network.mode != NetworkMode::host) add_links(process->pid, stats);
  if (wait_for_end(process->pidfd, std::chrono::milliseconds(0))) return std::nullopt;
  return stats;
}

}  // namespace lay::runner
