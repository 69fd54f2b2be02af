#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "runner/container.h"

namespace lay::runner {

/// What a running container has taken so far, as the kernel counts it. A member is empty where this machine
/// does not count it for the container's cgroup.
struct Stats {
  std::chrono::steady_clock::time_point taken;        ///< when it was read
  std::optional<std::chrono::nanoseconds> processor;  ///< time on all processors together
  std::optional<std::uint64_t> memory;        ///< bytes, without file pages that nobody has used lately
  std::optional<std::uint64_t> memory_limit;  ///< bytes: its own limit, or what the machine has
  std::optional<std::uint64_t> processes;     ///< threads are counted too
  std::optional<std::uint64_t> block_read;    ///< bytes
  std::optional<std::uint64_t> block_written;
  std::optional<std::uint64_t>
      received;  ///< bytes over all its links but loopback; empty in the host's network
  std::optional<std::uint64_t> sent;
};

/// Empty when the container is not running, or ends meanwhile: numbers are never those of another process
/// that got its number.
std::optional<Stats> read_stats(const Container& container);

/// Bytes received and sent over all links but loopback, of the text of /proc/<pid>/net/dev (proc(5)).
struct LinkBytes {
  std::uint64_t received = 0;
  std::uint64_t sent = 0;
};
LinkBytes parse_net_dev(std::string_view text);

/// Share of one processor in percent, of two samples of the same container; 0 when it was started again in
/// between. 250 is two and a half processors.
double processor_percent(const Stats& before, const Stats& after);

}  // namespace lay::runner
