#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "flags/block_flags.h"
#include "flags/parser.h"
#include "runner/spec.h"

namespace lay::cli {

/// --memory, --cpus, --cpuset-cpus … of run and update: what a container may take.
struct ResourceFlags {
  std::optional<std::string> memory;
  std::optional<std::string> memory_swap;
  std::optional<std::string> memory_reservation;
  std::optional<double> cpus;
  std::optional<std::uint64_t> cpu_period;
  std::optional<std::int64_t> cpu_quota;
  std::optional<std::uint64_t> cpu_shares;
  std::string cpuset_cpus;
  std::string cpuset_mems;
  std::optional<std::int64_t> pids_limit;
  std::optional<std::int64_t> swappiness;
  bool oom_kill_disable = false;
  std::vector<std::string> hugepages;
  std::vector<std::string> cgroup_files;
  BlockFlags block;

  void add_to(Parser& parser);
  /// Puts what was given over `resources`; throws invalid, with hints.
  void apply(runner::Resources& resources) const;
};

}  // namespace lay::cli
