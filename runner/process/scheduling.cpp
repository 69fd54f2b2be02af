#include "process/scheduling.h"

#include <linux/sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "spec/json_fields.h"

namespace lay::runner {

namespace {

/// sched_setattr(2). The header that has it cannot be included beside glibc's sched.h.
struct SchedulerRequest {
  std::uint32_t size = sizeof(SchedulerRequest);
  std::uint32_t policy = 0;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime = 0;
  std::uint64_t deadline = 0;
  std::uint64_t period = 0;
};

/// sched(7); ISO is reserved and in no kernel, which says so itself.
constexpr unsigned kIso = 4;
constexpr std::array<std::pair<unsigned, std::string_view>, 7> kPolicies{{
    {SCHED_NORMAL, "SCHED_OTHER"},
    {SCHED_FIFO, "SCHED_FIFO"},
    {SCHED_RR, "SCHED_RR"},
    {SCHED_BATCH, "SCHED_BATCH"},
    {kIso, "SCHED_ISO"},
    {SCHED_IDLE, "SCHED_IDLE"},
    {SCHED_DEADLINE, "SCHED_DEADLINE"},
}};

constexpr std::array<std::pair<std::uint64_t, std::string_view>, 7> kFlags{{
    {SCHED_FLAG_RESET_ON_FORK, "SCHED_FLAG_RESET_ON_FORK"},
    {SCHED_FLAG_RECLAIM, "SCHED_FLAG_RECLAIM"},
    {SCHED_FLAG_DL_OVERRUN, "SCHED_FLAG_DL_OVERRUN"},
    {SCHED_FLAG_KEEP_POLICY, "SCHED_FLAG_KEEP_POLICY"},
    {SCHED_FLAG_KEEP_PARAMS, "SCHED_FLAG_KEEP_PARAMS"},
    {SCHED_FLAG_UTIL_CLAMP_MIN, "SCHED_FLAG_UTIL_CLAMP_MIN"},
    {SCHED_FLAG_UTIL_CLAMP_MAX, "SCHED_FLAG_UTIL_CLAMP_MAX"},
}};

/// ioprio_set(2); linux/ioprio.h is no C++.
enum IoClass : int { kIoRealtime = 1, kIoBestEffort = 2, kIoIdle = 3 };
constexpr int kIoClassShift = 13;
constexpr int kIoWhoProcess = 1;

std::uint64_t flag_bits(const Scheduler& scheduler) {
  std::uint64_t bits = 0;
  for (const std::string& flag : scheduler.flags) bits |= value_of_word(kFlags, flag, "flags");
  return bits;
}

void set_scheduler(pid_t pid, const Scheduler& scheduler) {
  const SchedulerRequest request{.policy = value_of_word(kPolicies, scheduler.policy, "policy"),
                                 .flags = flag_bits(scheduler),
                                 .nice = scheduler.nice,
                                 .priority = static_cast<std::uint32_t>(scheduler.priority),
                                 .runtime = scheduler.runtime,
                                 .deadline = scheduler.deadline,
                                 .period = scheduler.period};
  if (::syscall(SYS_sched_setattr, pid, &request, 0) == 0) return;
  Error error = Error::from_errno("set the scheduler {}", scheduler.policy);
  if (error.error_number() == EPERM)
    error.with_hint("that takes CAP_SYS_NICE on the host, and time for it in the cgroup (sched(7))");
  throw error;
}

void set_io_priority(pid_t pid, const IoPriority& priority) {
  int level_class = kIoBestEffort;
  if (priority.level_class == IoPriority::Class::realtime) level_class = kIoRealtime;
  if (priority.level_class == IoPriority::Class::idle) level_class = kIoIdle;
  const int value = (level_class << kIoClassShift) | priority.priority;
  if (::syscall(SYS_ioprio_set, kIoWhoProcess, pid, value) < 0)
    throw Error::from_errno("set the I/O priority {}", priority.priority);
}

std::uint64_t number_in(std::string_view word, const std::string& list) {
  const auto value = parse_number(word);
  if (!value || *value >= CPU_SETSIZE)
    throw Error::make(Errc::invalid, "'{}' is no list of processors", printable(list))
        .with_hint("a list looks like 0-3,7");
  return *value;
}

}  // namespace

void check_scheduler(const Scheduler& scheduler) {
  value_of_word(kPolicies, scheduler.policy, "policy");
  flag_bits(scheduler);
  if (scheduler.nice < -20 || scheduler.nice > 19)
    throw Error::make(Errc::invalid, "'nice' is {}, expected -20 (first) to 19", scheduler.nice);
  const bool has_times = scheduler.runtime != 0 || scheduler.deadline != 0 || scheduler.period != 0;
  if (has_times && scheduler.policy != "SCHED_DEADLINE")
    throw Error::make(Errc::invalid, "'runtime', 'deadline' and 'period' are of SCHED_DEADLINE, not of {}",
                      scheduler.policy);
  const bool is_realtime = scheduler.policy == "SCHED_FIFO" || scheduler.policy == "SCHED_RR";
  if (is_realtime ? scheduler.priority < 1 || scheduler.priority > 99 : scheduler.priority != 0)
    throw Error::make(Errc::invalid,
                      "'priority' is {}, expected 1 to 99 with SCHED_FIFO and SCHED_RR, else 0",
                      scheduler.priority);
}

bool may_have_children(const Process& process) {
  if (!process.scheduler) return true;
  const std::vector<std::string>& flags = process.scheduler->flags;
  return process.scheduler->policy != "SCHED_DEADLINE" &&
         std::ranges::find(flags, "SCHED_FLAG_RESET_ON_FORK") == flags.end();
}

cpu_set_t parse_cpu_list(const std::string& text) {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (text.empty()) return set;
  for (const std::string& range : split(text, ',')) {
    const std::size_t dash = range.find('-');
    const std::uint64_t first = number_in(std::string_view(range).substr(0, dash), text);
    const std::uint64_t last =
        dash == std::string::npos ? first : number_in(std::string_view(range).substr(dash + 1), text);
    if (last < first)
      throw Error::make(Errc::invalid, "'{}' is no list of processors: {} to {} is empty", printable(text),
                        first, last);
    for (std::uint64_t cpu = first; cpu <= last; ++cpu) CPU_SET(cpu, &set);
  }
  return set;
}

void set_cpu_affinity(const std::string& list) {
  if (list.empty()) return;
  const cpu_set_t set = parse_cpu_list(list);
  if (::sched_setaffinity(0, sizeof set, &set) < 0)
    throw Error::from_errno("run on the processors '{}'", printable(list));
}

void apply_scheduling(pid_t pid, const Process& process) {
  if (process.scheduler) set_scheduler(pid, *process.scheduler);
  if (process.io_priority) set_io_priority(pid, *process.io_priority);
}

}  // namespace lay::runner
