#include "flags/resource_flags.h"

#include <array>

#include "base/error.h"
#include "base/text.h"
#include "flags/options.h"

namespace lay::cli {

namespace {

constexpr std::uint64_t kCpuPeriod = 100'000;    // microseconds, the kernel's and the peers' default
constexpr std::uint64_t kLeastMemory = 6 << 20;  // docker's minimum: less cannot start a process

std::int64_t parse_memory(const char* flag, const std::string& text, std::uint64_t least) {
  const auto bytes = parse_size(text);
  if (!bytes || *bytes < least)
    throw Error::make(Errc::invalid, "{} '{}' is no size of at least {}", flag, printable(text),
                      format_size(least))
        .with_hint(fmt::format("{} 256m", flag));
  return static_cast<std::int64_t>(*bytes);
}

/// With the memory its sum with the swap has no limit either, and nothing may wait for memory for ever.
void lift_memory(runner::Resources& resources) {
  if (!resources.memory_limit) return;
  resources.memory_limit = -1;
  resources.memory_swap = -1;
  if (resources.disable_oom_killer) resources.disable_oom_killer = false;
}

void apply_memory(const std::string& text, runner::Resources& resources) {
  if (text == "0") return lift_memory(resources);  // as with podman
  const bool is_swap_by_default =
      !resources.memory_swap || resources.memory_swap == resources.memory_limit.value_or(0) * 2;
  resources.memory_limit = parse_memory("--memory", text, kLeastMemory);
  if (is_swap_by_default) resources.memory_swap = *resources.memory_limit * 2;
}

void apply_cpus(double cpus, runner::Resources& resources) {
  if (cpus == 0) {
    if (resources.cpu_quota) resources.cpu_quota = -1;
    return;
  }
  if (!(cpus >= 0.01) || cpus > 10'000)
    throw Error::make(Errc::invalid, "--cpus {} is not a number from 0.01", cpus)
        .with_hint("--cpus 1.5; 0 is no limit");
  resources.cpu_period = kCpuPeriod;
  resources.cpu_quota = static_cast<std::int64_t>(cpus * static_cast<double>(kCpuPeriod) + 0.5);
}

/// The limit that --cpus is, in its two parts: microseconds in each period.
void apply_quota(const ResourceFlags& flags, runner::Resources& resources) {
  constexpr std::uint64_t kLeast = 1000;
  constexpr std::uint64_t kMostPeriod = 1'000'000;
  if (flags.cpus && (flags.cpu_quota || flags.cpu_period))
    throw Error::make(Errc::invalid, "--{} and --cpus cannot be set together",
                      flags.cpu_quota ? "cpu-quota" : "cpu-period")
        .with_hint("--cpus 1.5 is --cpu-quota 150000 with the period 100000");
  if (const std::uint64_t period = flags.cpu_period.value_or(0); period != 0) {
    if (period < kLeast || period > kMostPeriod)
      throw Error::make(Errc::invalid, "--cpu-period {} is not between 1000 and 1000000 microseconds", period)
          .with_hint("--cpu-period 100000 --cpu-quota 50000 is half a processor");
    resources.cpu_period = period;
  }
  const std::int64_t quota = flags.cpu_quota.value_or(0);
  if (quota > 0 && quota < static_cast<std::int64_t>(kLeast))
    throw Error::make(Errc::invalid, "--cpu-quota {} is less than 1000 microseconds", quota)
        .with_hint("--cpu-quota 50000 is half a processor; -1 is no limit");
  if (quota > 0)
    resources.cpu_quota = quota;
  else if (flags.cpu_quota && resources.cpu_quota)
    resources.cpu_quota = -1;
}

/// docker's rule: without --memory-swap as much swap as memory; -1 is no limit.
std::int64_t parse_swap(const std::string& text, std::optional<std::int64_t> memory) {
  if (text == "-1") return -1;
  if (memory.value_or(-1) < 0)
    throw Error::make(Errc::invalid, "--memory-swap '{}' needs --memory: it counts both", printable(text))
        .with_hint("--memory 256m --memory-swap 512m leaves 256 MiB of swap");
  const std::int64_t total = parse_memory("--memory-swap", text, kLeastMemory);
  if (total < *memory)
    throw Error::make(Errc::invalid, "--memory-swap '{}' is less than --memory: it counts both",
                      printable(text))
        .with_hint("--memory 256m --memory-swap 512m leaves 256 MiB of swap");
  return total;
}

/// A list as cpuset(7) has it: "0-2,7".
std::string checked_list(const char* flag, const std::string& text) {
  if (text.find_first_not_of("0123456789,-") != std::string::npos)
    throw Error::make(Errc::invalid, "{} '{}' is no list of numbers", flag, printable(text))
        .with_hint(fmt::format("{} 0-1,3", flag));
  return text;
}

/// The kernel's name of a size of huge pages, "2MB", for what users write: "2MB", "2m", "1g".
std::string page_size_name(const std::string& text) {
  std::string bare = to_lower(text);
  if (bare.ends_with('b')) bare.pop_back();
  const auto bytes = parse_size(bare);
  if (!bytes || *bytes == 0 || *bytes % 1024 != 0) return {};
  constexpr std::array<const char*, 3> kUnits{"KB", "MB", "GB"};
  std::uint64_t number = *bytes / 1024;
  std::size_t unit = 0;
  for (; number % 1024 == 0 && unit + 1 < kUnits.size(); ++unit) number /= 1024;
  return std::to_string(number) + kUnits[unit];
}

runner::HugepageLimit parse_hugepages(const std::string& text) {
  const std::size_t equals = text.find('=');
  const std::string size = page_size_name(text.substr(0, equals));
  const auto limit = equals == std::string::npos ? std::nullopt : parse_size(text.substr(equals + 1));
  if (size.empty() || !limit)
    throw Error::make(Errc::invalid, "--hugetlb-limit '{}' is no size of pages with a limit", printable(text))
        .with_hint("--hugetlb-limit 2MB=64m");
  return {.page_size = size, .limit = *limit};
}

void put_hugepages(std::vector<runner::HugepageLimit>& limits, const runner::HugepageLimit& limit) {
  std::erase_if(limits, [&](const auto& other) { return other.page_size == limit.page_size; });
  limits.push_back(limit);
}

/// What is v1's alone.
void apply_v1_memory(const ResourceFlags& flags, runner::Resources& resources) {
  if (flags.swappiness && *flags.swappiness != -1) {  // -1: the machine's own, as docker has it
    if (*flags.swappiness < 0 || *flags.swappiness > 100)
      throw Error::make(Errc::invalid, "--memory-swappiness {} is not between 0 and 100", *flags.swappiness)
          .with_hint("0 swaps as late as possible");
    resources.memory_swappiness = static_cast<std::uint64_t>(*flags.swappiness);
  }
  if (flags.oom_kill_disable) {
    if (resources.memory_limit.value_or(-1) < 0)
      throw Error(Errc::invalid, "--oom-kill-disable without --memory would let it stop the whole machine")
          .with_hint("--memory 256m --oom-kill-disable");
    resources.disable_oom_killer = true;
  }
}

void apply_files(const std::vector<std::string>& files, runner::Resources& resources) {
  for (const std::string& text : files) {
    const std::size_t equals = text.find('=');
    if (equals == 0 || equals == std::string::npos)
      throw Error::make(Errc::invalid, "--cgroup-conf '{}' is no file with a value", printable(text))
          .with_hint("--cgroup-conf memory.high=256m");
    resources.unified[text.substr(0, equals)] = text.substr(equals + 1);
  }
}

}  // namespace

void ResourceFlags::add_to(Parser& parser) {
  parser.add_option("-m,--memory", memory, "most memory: 256m, 1g; 0: no limit").type_name("SIZE");
  parser.add_option("--memory-swap", memory_swap, "most memory and swap (twice the memory); -1: no limit")
      .type_name("SIZE");
  parser.add_option("--memory-reservation", memory_reservation, "memory it keeps when the machine runs short")
      .type_name("SIZE");
  parser.add_option("--cpus", cpus, "most processors: 1.5; 0: no limit").type_name("N");
  parser.add_option("--cpu-quota", cpu_quota, "the same in microseconds of each period; -1: no limit")
      .type_name("N");
  parser.add_option("--cpu-period", cpu_period, "microseconds of a period (100000)").type_name("N");
  parser.add_option("-c,--cpu-shares", cpu_shares, "its weight when processors are short (1024)")
      .type_name("N");
  parser.add_option("--cpuset-cpus", cpuset_cpus, "processors it may use: 0-1,3").type_name("LIST");
  parser.add_option("--cpuset-mems", cpuset_mems, "memory nodes it may use").type_name("LIST");
  parser.add_option("--pids-limit", pids_limit, "most processes (2048); -1: no limit").type_name("N");
  parser.add_option("--memory-swappiness", swappiness, "how readily it is swapped: 0 to 100 (cgroup v1)")
      .type_name("N");
  parser.add_flag("--oom-kill-disable", oom_kill_disable,
                  "let it wait for memory instead of being killed (cgroup v1)");
  parser.add_list("--hugetlb-limit", hugepages, "most bytes of huge pages of a size: 2MB=64m", "PAGE=SIZE");
  parser.add_list("--cgroup-conf", cgroup_files, "write a file of its cgroup: memory.high=256m",
                  "FILE=VALUE");
  block.add_to(parser);
}

void ResourceFlags::apply(runner::Resources& resources) const {
  if (memory) apply_memory(*memory, resources);
  if (memory_swap) resources.memory_swap = parse_swap(*memory_swap, resources.memory_limit);
  if (resources.memory_swap.value_or(-1) >= 0 && *resources.memory_swap < resources.memory_limit.value_or(0))
    throw Error::make(Errc::invalid, "--memory is more than the memory and swap of {} together that it has",
                      format_size(static_cast<std::uint64_t>(*resources.memory_swap)))
        .with_hint("give --memory-swap, too");
  if (memory_reservation)
    resources.memory_reservation = parse_memory("--memory-reservation", *memory_reservation, 1);
  if (cpus) apply_cpus(*cpus, resources);
  apply_quota(*this, resources);
  if (cpu_shares) {
    if (*cpu_shares < 2 || *cpu_shares > 262'144)
      throw Error::make(Errc::invalid, "--cpu-shares {} is not between 2 and 262144", *cpu_shares)
          .with_hint("1024 is the weight of every other; 512 is half of it");
    resources.cpu_shares = cpu_shares;
  }
  if (!cpuset_cpus.empty()) resources.cpus = checked_list("--cpuset-cpus", cpuset_cpus);
  if (!cpuset_mems.empty()) resources.mems = checked_list("--cpuset-mems", cpuset_mems);
  if (pids_limit) resources.pids_limit = *pids_limit > 0 ? *pids_limit : -1;  // 0 and -1: no limit, as docker
  apply_v1_memory(*this, resources);
  for (const std::string& text : hugepages) put_hugepages(resources.hugepages, parse_hugepages(text));
  apply_files(cgroup_files, resources);
  block.apply(resources.block_io);
}

}  // namespace lay::cli
