#pragma once

#include <sched.h>
#include <sys/types.h>

#include <string>

#include "runner/spec.h"

/// When and where a process is given a processor or a disk: sched(7), ioprio_set(2).
namespace lay::runner {

/// Throws invalid for a policy or flag that there is not, or numbers that no policy takes.
void check_scheduler(const Scheduler& scheduler);

/// Whether a process that is scheduled so has children that are, too: not by SCHED_DEADLINE, nor with
/// SCHED_FLAG_RESET_ON_FORK. sched(7).
bool may_have_children(const Process& process);

/// "0-3,7" as a set; empty text is an empty set. Throws invalid.
cpu_set_t parse_cpu_list(const std::string& text);

/// sched_setaffinity(2) of the calling process; an empty list changes nothing.
void set_cpu_affinity(const std::string& list);

/// What process.scheduler and process.ioPriority ask for, of another process or (0) the calling one: with the
/// rights of the host's root still, and inside the cgroup.
void apply_scheduling(pid_t pid, const Process& process);

}  // namespace lay::runner
