#include "flags/namespace_flags.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "flags/options.h"

namespace lay::cli {

namespace {

using runner::NamespaceType;

constexpr std::uint32_t kAutoSize = 65536;
constexpr std::uint32_t kNanoseconds = 1'000'000'000;
constexpr std::array<std::pair<char, std::uint64_t>, 4> kUnits{
    {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}}};

Error wrong(const std::string& flag, const std::string& value, const char* hint) {
  return Error::make(Errc::invalid, "{} '{}' is not understood", flag, printable(value)).with_hint(hint);
}

void erase_namespace(runner::Spec& spec, NamespaceType type) {
  std::erase_if(spec.linux_.namespaces, [&](const runner::Namespace& entry) { return entry.type == type; });
}

runner::Namespace& find_namespace(runner::Spec& spec, NamespaceType type) {
  return *std::find_if(spec.linux_.namespaces.begin(), spec.linux_.namespaces.end(),
                       [&](const runner::Namespace& entry) { return entry.type == type; });
}

/// In place of what is mounted at `path`: the host's own.
void bind_from_host(runner::Spec& spec, const std::string& path, std::vector<std::string> options) {
  for (runner::Mount& mount : spec.mounts)
    if (mount.destination == path)
      mount = {.destination = path, .type = "bind", .source = path, .options = std::move(options)};
}

enum class Choice { own, host, other };

/// "container:NAME" and "ns:PATH" are dealt with here; `other` is left to the caller.
Choice apply_mode(runner::ContainerConfig& config, NamespaceType type, const std::string& mode) {
  if (mode.empty() || mode == "private") return Choice::own;
  if (mode == "host") {
    erase_namespace(config.spec, type);
    return Choice::host;
  }
  if (mode.starts_with("container:") && mode.size() > 10) {
    config.joined[type] = mode.substr(10);
    return Choice::own;
  }
  if (mode.starts_with("ns:") && mode.size() > 3) {
    find_namespace(config.spec, type).path = mode.substr(3);
    return Choice::own;
  }
  return Choice::other;
}

void apply_pid(runner::ContainerConfig& config, const std::string& mode) {
  if (apply_mode(config, NamespaceType::pid, mode) == Choice::other)
    throw wrong("--pid", mode, "private (the default), host, container:NAME, ns:PATH");
}

void apply_uts(runner::ContainerConfig& config, const std::string& mode) {
  if (apply_mode(config, NamespaceType::uts, mode) == Choice::other)
    throw wrong("--uts", mode, "private (the default), host, container:NAME, ns:PATH");
}

void apply_ipc(runner::ContainerConfig& config, const std::string& mode) {
  if (mode == "private") config.shares_ipc = false;
  switch (apply_mode(config, NamespaceType::ipc, mode)) {
    case Choice::own:
      return;
    case Choice::host:
      bind_from_host(config.spec, "/dev/shm", {"nosuid", "noexec", "nodev", "rprivate"});
      return;
    case Choice::other:
      break;
  }
  if (mode == "none")
    std::erase_if(config.spec.mounts,
                  [](const runner::Mount& mount) { return mount.destination == "/dev/shm"; });
  else if (mode != "shareable")
    throw wrong("--ipc", mode, "shareable (the default), private, none, host, container:NAME, ns:PATH");
}

void apply_cgroupns(runner::ContainerConfig& config, const std::string& mode) {
  const Choice choice = apply_mode(config, NamespaceType::cgroup, mode);
  if (choice == Choice::other)
    throw wrong("--cgroupns", mode, "private (the default), host, container:NAME, ns:PATH");
  if (choice == Choice::own) return;
  bind_from_host(config.spec, "/sys/fs/cgroup", {"rbind", "ro", "nosuid", "noexec", "nodev", "rprivate"});
}

/// Whether it names a namespace that is there.
bool joins(const std::string& mode) {
  return mode.starts_with("container:") || mode.starts_with("ns:");
}

/// "auto" or "auto:size=N".
std::uint32_t parse_auto_size(const std::string& mode) {
  constexpr std::string_view kSize = "auto:size=";
  if (mode == "auto") return kAutoSize;
  const auto size = mode.starts_with(kSize) ? parse_number(mode.substr(kSize.size())) : std::nullopt;
  if (!size || *size == 0 || *size > UINT32_MAX / 2) throw wrong("--userns", mode, "auto:size=65536");
  return static_cast<std::uint32_t>(*size);
}

/// Parts of "uid:0:100000:65536,gid:0:200000:65536"; without "uid:" or "gid:" for both.
void parse_map(runner::Linux& spec, const std::string& text) {
  for (const std::string& part : split(text, ',')) {
    const bool is_named = part.starts_with("uid:") || part.starts_with("gid:");
    const runner::IdMapping mapping = parse_id_mapping(is_named ? part.substr(4) : part, "--userns");
    if (!part.starts_with("gid:")) spec.uid_mappings.push_back(mapping);
    if (!part.starts_with("uid:")) spec.gid_mappings.push_back(mapping);
  }
}

/// One map for both when only one is given, as podman does it.
void complete_maps(runner::Linux& spec) {
  if (spec.gid_mappings.empty()) spec.gid_mappings = spec.uid_mappings;
  if (spec.uid_mappings.empty()) spec.uid_mappings = spec.gid_mappings;
}

void apply_userns(runner::ContainerConfig& config, const NamespaceFlags& flags) {
  runner::Linux& spec = config.spec.linux_;
  const bool has_maps = !flags.uid_maps.empty() || !flags.gid_maps.empty();
  const bool is_mode = flags.userns == "host" || flags.userns.starts_with("auto");
  if (has_maps && !flags.userns.empty())
    throw Error::make(Errc::invalid, "--userns '{}' and --uidmap or --gidmap contradict each other",
                      printable(flags.userns))
        .with_hint("one of them");
  if (!has_maps && (flags.userns.empty() || flags.userns == "host")) return;
  if (flags.userns.starts_with("keep-id") || flags.userns == "nomap")
    throw Error::make(Errc::unsupported, "--userns {} is for ordinary users, and lay runs as root",
                      printable(flags.userns))
        .with_hint("--userns auto, or a map: --userns 0:100000:65536");
  spec.namespaces.push_back({.type = NamespaceType::user, .path = {}});
  if (joins(flags.userns)) {
    if (apply_mode(config, NamespaceType::user, flags.userns) == Choice::other)
      throw wrong("--userns", flags.userns, "container:NAME, ns:PATH");
    return;
  }
  if (is_mode) {
    spec.auto_ids = parse_auto_size(flags.userns);
    return;
  }
  if (!has_maps) parse_map(spec, flags.userns);
  for (const std::string& map : flags.uid_maps)
    spec.uid_mappings.push_back(parse_id_mapping(map, "--uidmap"));
  for (const std::string& map : flags.gid_maps)
    spec.gid_mappings.push_back(parse_id_mapping(map, "--gidmap"));
  complete_maps(spec);
}

/// "monotonic=+3600s,boottime=-1d".
void set_clocks(runner::Linux& spec, const std::string& text) {
  for (const std::string& part : split(text, ',')) {
    const std::size_t end = part.find('=');
    const std::string clock = part.substr(0, end);
    if (end == std::string::npos || (clock != "monotonic" && clock != "boottime"))
      throw wrong("--time", text,
                  "host (the default), monotonic=+3600s,boottime=-1d, container:NAME, ns:PATH");
    spec.time_offsets[clock] = parse_time_offset(part.substr(end + 1));
  }
}

void apply_time(runner::ContainerConfig& config, const std::string& mode) {
  if (mode.empty()) return;
  config.spec.linux_.namespaces.push_back({.type = NamespaceType::time, .path = {}});
  if (apply_mode(config, NamespaceType::time, mode) == Choice::other) set_clocks(config.spec.linux_, mode);
}

}  // namespace

void NamespaceFlags::add_to(Parser& parser) {
  const auto add = [&](const char* name, std::string& value, const char* help, const char* type) {
    parser.add_option(name, value, help).type_name(type);
  };
  add("--userns", userns, "host (default), auto[:size=N], INSIDE:HOST:COUNT, container:NAME, ns:PATH",
      "MODE");
  parser.add_list("--uidmap", uid_maps, "users of a user namespace", "INSIDE:HOST:COUNT");
  parser.add_list("--gidmap", gid_maps, "groups of a user namespace", "INSIDE:HOST:COUNT");
  add("--pid", pid, "private (default), host, container:NAME, ns:PATH", "MODE");
  add("--ipc", ipc, "shareable (default), private, none, host, container:NAME, ns:PATH", "MODE");
  add("--uts", uts, "private (default), host, container:NAME, ns:PATH", "MODE");
  add("--cgroupns", cgroupns, "private (default), host, container:NAME, ns:PATH", "MODE");
  add("--time", time, "host (default), clocks ahead of it (monotonic, boottime), container:NAME, ns:PATH",
      "CLOCK=OFFSET,…|MODE");
}

void NamespaceFlags::apply(runner::ContainerConfig& config) const {
  apply_userns(config, *this);
  apply_pid(config, pid);
  apply_ipc(config, ipc);
  apply_uts(config, uts);
  apply_cgroupns(config, cgroupns);
  apply_time(config, time);
}

runner::IdMapping parse_id_mapping(const std::string& text, std::string_view flag) {
  std::vector<std::uint32_t> numbers;
  for (const std::string& part : split(text, ':'))
    if (const auto number = parse_number(part); number && *number < UINT32_MAX)
      numbers.push_back(static_cast<std::uint32_t>(*number));
  if (numbers.size() != 3 || std::count(text.begin(), text.end(), ':') != 2)
    throw wrong(std::string(flag), text, "INSIDE:HOST:COUNT, for instance 0:100000:65536");
  return {.container_id = numbers[0], .host_id = numbers[1], .size = numbers[2]};
}

runner::TimeOffset parse_time_offset(const std::string& text) {
  const auto fail = [&] { return wrong("--time", text, "an offset is like +3600s, -90, 1.5h or 2d"); };
  std::string digits = text;
  const bool is_negative = digits.starts_with('-');
  if (digits.starts_with('+') || is_negative) digits.erase(0, 1);
  std::uint64_t factor = 1;
  for (const auto& [letter, seconds] : kUnits) {
    if (!digits.ends_with(letter)) continue;
    factor = seconds;
    digits.pop_back();
    break;
  }
  const std::size_t point = digits.find('.');
  std::string fraction = point == std::string::npos ? "" : digits.substr(point + 1);
  const auto whole = parse_number(digits.substr(0, point));
  if (!whole || *whole > UINT32_MAX || fraction.size() > 9 ||
      (point != std::string::npos && fraction.empty()))
    throw fail();
  fraction.resize(9, '0');
  const auto nanoseconds = parse_number(fraction);
  if (!nanoseconds) throw fail();
  auto secs = static_cast<std::int64_t>(*whole * factor + *nanoseconds * factor / kNanoseconds);
  auto rest = static_cast<std::uint32_t>(*nanoseconds * factor % kNanoseconds);
  if (is_negative) {
    secs = rest == 0 ? -secs : -secs - 1;
    rest = rest == 0 ? 0 : kNanoseconds - rest;
  }
  return {.secs = secs, .nanosecs = rest};
}

void resolve_joined(const runner::ContainerStore& containers, runner::ContainerConfig& config) {
  for (auto& [type, name] : config.joined) {
    const runner::Container other = containers.find(name);
    name = other.config().id;
    if (type != NamespaceType::uts) continue;
    config.spec.hostname = other.config().spec.hostname;
    set_environment(config.spec.process.env, "HOSTNAME=" + config.spec.hostname);
  }
}

}  // namespace lay::cli
