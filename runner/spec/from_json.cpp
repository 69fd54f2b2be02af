#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "process/process_steps.h"
#include "runner/spec.h"
#include "spec/json_fields.h"
#include "spec/linux_json.h"
#include "spec/names.h"
#include "spec/resources_json.h"
#include "spec/scheduling_json.h"
#include "spec/seccomp_json.h"

namespace lay::runner {

namespace {

/// Parts of the specification that would change what the container may do are
/// refused, never dropped in silence.
void refuse(const Json& object, const char* key) {
  const Json* value = json_find(object, key);
  if (value != nullptr && !value->empty())
    throw Error::make(Errc::unsupported, "'{}' is not supported in a runtime spec", key);
}

/// setresuid(2) takes -1, in 32 bits, for "as it is": whoever was meant, it would be lay's own root.
std::uint32_t require_id(std::uint32_t id, const char* key) {
  if (id != std::numeric_limits<std::uint32_t>::max()) return id;
  throw Error::make(Errc::invalid, "'{}' is {}, which is no id: the kernel takes it for 'unchanged'", key,
                    id);
}

User parse_user(const Json& json) {
  User user{.uid = require_id(number<std::uint32_t>(json, "uid").value_or(0), "uid"),
            .gid = require_id(number<std::uint32_t>(json, "gid").value_or(0), "gid"),
            .umask = number<std::uint32_t>(json, "umask"),
            .username = json_string_or(json, "username", {}),
            .group_names = json_strings(json, "groupNames")};
  for (const Json& gid : json_array(json, "additionalGids"))
    user.additional_gids.push_back(
        require_id(as_number<std::uint32_t>(gid, "additionalGids"), "additionalGids"));
  return user;
}

Capabilities parse_capabilities(const Json& json) {
  return {.bounding = json_strings(json, "bounding"),
          .effective = json_strings(json, "effective"),
          .permitted = json_strings(json, "permitted"),
          .inheritable = json_strings(json, "inheritable"),
          .ambient = json_strings(json, "ambient")};
}

std::vector<Rlimit> parse_rlimits(const Json& process) {
  std::vector<Rlimit> limits;
  for (const Json& json : json_array(process, "rlimits")) {
    Rlimit limit{.type = json_string(json, "type"),
                 .hard = required_number<std::uint64_t>(json, "hard"),
                 .soft = required_number<std::uint64_t>(json, "soft")};
    check_rlimit(limit);
    if (std::ranges::any_of(limits, [&](const Rlimit& other) { return other.type == limit.type; }))
      throw Error::make(Errc::invalid, "'rlimits' has '{}' twice", limit.type);
    limits.push_back(std::move(limit));
  }
  return limits;
}

/// Relative ones are of old versions of the spec, and taken from the root as runc does.
std::string destination_of(const Json& json) {
  std::string destination = json_string(json, "destination");
  if (destination.empty()) throw Error(Errc::invalid, "'destination' of a mount is empty");
  return destination.starts_with('/') ? destination : "/" + destination;
}

std::vector<Mount> parse_mounts(const Json& spec) {
  std::vector<Mount> mounts;
  for (const Json& json : json_array(spec, "mounts"))
    mounts.push_back({.destination = destination_of(json),
                      .type = json_string_or(json, "type", {}),
                      .source = json_string_or(json, "source", {}),
                      .options = json_strings(json, "options"),
                      .uid_mappings = parse_id_mappings(json, "uidMappings"),
                      .gid_mappings = parse_id_mappings(json, "gidMappings")});
  return mounts;
}

std::vector<Namespace> parse_namespaces(const Json& linux_part) {
  std::vector<Namespace> namespaces;
  for (const Json& json : json_array(linux_part, "namespaces")) {
    const std::string type = json_string(json, "type");
    const auto known = namespace_type(type);
    if (!known) throw Error::make(Errc::invalid, "'{}' is not a type of namespace", type);
    namespaces.push_back({.type = *known, .path = json_string_or(json, "path", {})});
  }
  return namespaces;
}

void check_device(const Json& json, const Device& device) {
  if (device.type != "c" && device.type != "u" && device.type != "b" && device.type != "p")
    throw Error::make(Errc::invalid, "device '{}' has the unknown type '{}'", printable(device.path),
                      printable(device.type))
        .with_hint("known are c, u, b and p");
  if (!device.path.starts_with('/'))
    throw Error::make(Errc::invalid, "device '{}' is not an absolute path", printable(device.path));
  if (device.type == "p") return;
  for (const char* key : {"major", "minor"})
    if (json_find(json, key) == nullptr)
      throw Error::make(Errc::invalid, "device '{}': '{}' is missing", printable(device.path), key);
  // linux/kdev_t.h: 12 and 20 bits
  if (device.major < 0 || device.major > 0xfff || device.minor < 0 || device.minor > 0xfffff)
    throw Error::make(Errc::invalid, "device '{}': there is no {}:{}", printable(device.path), device.major,
                      device.minor);
}

std::vector<Device> parse_devices(const Json& linux_part) {
  std::vector<Device> devices;
  for (const Json& json : json_array(linux_part, "devices")) {
    devices.push_back({.path = json_string(json, "path"),
                       .type = json_string(json, "type"),
                       .major = json_int_or(json, "major", 0),
                       .minor = json_int_or(json, "minor", 0),
                       .file_mode = number<std::uint32_t>(json, "fileMode").value_or(0666),
                       .uid = number<std::uint32_t>(json, "uid").value_or(0),
                       .gid = number<std::uint32_t>(json, "gid").value_or(0)});
    check_device(json, devices.back());
  }
  return devices;
}

bool required_bool(const Json& json, const char* key) {
  if (json_find(json, key) == nullptr) throw Error::make(Errc::invalid, "'{}' is missing", key);
  return json_bool_or(json, key, false);
}

std::optional<bool> parse_bool(const Json& json, const char* key) {
  return json_find(json, key) == nullptr ? std::nullopt : std::optional(json_bool_or(json, key, false));
}

/// Engines write 0 for what nobody asked for, and runtimes take it so.
template <class Number>
std::optional<Number> not_zero(std::optional<Number> value) {
  return value == Number{0} ? std::nullopt : value;
}

/// Kernels take up to 200 by now.
std::optional<std::uint64_t> parse_swappiness(const Json& memory) {
  constexpr std::uint64_t kMost = 100;
  const auto value = number<std::uint64_t>(memory, "swappiness");
  if (value.value_or(0) > kMost)
    throw Error::make(Errc::invalid, "'swappiness' is {}, expected 0 to {}", *value, kMost);
  return value;
}

std::optional<std::int64_t> parse_pids_limit(const Json& resources) {
  const Json* pids = json_find(resources, "pids");
  return pids == nullptr ? std::nullopt : std::optional(required_number<std::int64_t>(*pids, "limit"));
}

std::vector<DeviceRule> parse_device_rules(const Json& resources) {
  std::vector<DeviceRule> rules;
  for (const Json& json : json_array(resources, "devices"))
    rules.push_back({.allow = required_bool(json, "allow"),
                     .type = json_string_or(json, "type", "a"),
                     .major = number<std::int64_t>(json, "major"),
                     .minor = number<std::int64_t>(json, "minor"),
                     .access = json_string_or(json, "access", "rwm")});
  return rules;
}

std::map<std::string, TimeOffset> parse_time_offsets(const Json& linux_part) {
  std::map<std::string, TimeOffset> offsets;
  for (const auto& [clock, json] : part(linux_part, "timeOffsets").items())
    offsets[clock] = {.secs = number<std::int64_t>(json, "secs").value_or(0),
                      .nanosecs = number<std::uint32_t>(json, "nanosecs").value_or(0)};
  return offsets;
}

Linux parse_linux(const Json& json) {
  std::optional<Seccomp> rules;
  if (const Json* seccomp = json_find(json, "seccomp"))
    rules = with_context("seccomp", [&] { return parse_seccomp(*seccomp); });
  Linux result{.namespaces = parse_namespaces(json),
               .devices = parse_devices(json),
               .cgroups_path = json_string_or(json, "cgroupsPath", {}),
               .resources = parse_resources(part(json, "resources")),
               .masked_paths = json_strings(json, "maskedPaths"),
               .readonly_paths = json_strings(json, "readonlyPaths"),
               .sysctl = string_map(json, "sysctl"),
               .seccomp_rules = std::move(rules),
               .uid_mappings = parse_id_mappings(json, "uidMappings"),
               .gid_mappings = parse_id_mappings(json, "gidMappings"),
               .time_offsets = parse_time_offsets(json)};
  parse_rare_linux(json, result);
  return result;
}

/// Takes the profile's name out of the annotations, where to_json() put it. Rules that are listed go before.
SeccompProfile take_seccomp_profile(std::map<std::string, std::string>& annotations,
                                    const Linux& linux_part) {
  const auto entry = annotations.find(kSeccompAnnotation);
  if (entry == annotations.end())
    return linux_part.seccomp_rules ? SeccompProfile::listed : SeccompProfile::builtin;
  const auto profile = seccomp_profile(entry->second);
  if (!profile || (*profile == SeccompProfile::listed) != linux_part.seccomp_rules.has_value())
    throw Error::make(Errc::invalid, "'{}' is not a seccomp profile, or rules are missing or too many",
                      entry->second);
  annotations.erase(entry);
  return *profile;
}

/// As take_seccomp_profile, for the ids that a user namespace gets at start.
std::optional<std::uint32_t> take_auto_ids(std::map<std::string, std::string>& annotations) {
  const auto entry = annotations.find(kUserNamespaceAnnotation);
  if (entry == annotations.end()) return std::nullopt;
  const std::string_view text = entry->second;
  const auto size = text.starts_with(kAutoIds) ? parse_number(text.substr(kAutoIds.size())) : std::nullopt;
  if (!size || *size == 0 || *size > UINT32_MAX)
    throw Error::make(Errc::invalid, "'{}' is no user namespace", text);
  annotations.erase(entry);
  return static_cast<std::uint32_t>(*size);
}

}  // namespace

Resources parse_resources(const Json& json) {
  Resources resources{
      .memory_limit = not_zero(number<std::int64_t>(part(json, "memory"), "limit")),
      .memory_swap = not_zero(number<std::int64_t>(part(json, "memory"), "swap")),
      .memory_reservation = not_zero(number<std::int64_t>(part(json, "memory"), "reservation")),
      .memory_swappiness = parse_swappiness(part(json, "memory")),
      .disable_oom_killer = parse_bool(part(json, "memory"), "disableOOMKiller"),
      .cpu_quota = not_zero(number<std::int64_t>(part(json, "cpu"), "quota")),
      .cpu_period = not_zero(number<std::uint64_t>(part(json, "cpu"), "period")),
      .cpu_shares = not_zero(number<std::uint64_t>(part(json, "cpu"), "shares")),
      .cpus = json_string_or(part(json, "cpu"), "cpus", {}),
      .mems = json_string_or(part(json, "cpu"), "mems", {}),
      .pids_limit = not_zero(parse_pids_limit(json)),
      .devices = parse_device_rules(json)};
  parse_rare_resources(json, resources);
  return resources;
}

Process parse_process(const Json& json) {
  const Json& size = part(json, "consoleSize");
  Process process{.terminal = json_bool_or(json, "terminal", false),
                  .console_size = ConsoleSize{.height = number<std::uint16_t>(size, "height").value_or(0),
                                              .width = number<std::uint16_t>(size, "width").value_or(0)},
                  .user = parse_user(part(json, "user")),
                  .args = json_strings(json, "args"),
                  .env = json_strings(json, "env"),
                  .cwd = json_string(json, "cwd"),
                  .capabilities = parse_capabilities(part(json, "capabilities")),
                  .rlimits = parse_rlimits(json),
                  .oom_score_adj = number<int>(json, "oomScoreAdj"),
                  .no_new_privileges = json_bool_or(json, "noNewPrivileges", false),
                  .apparmor_profile = json_string_or(json, "apparmorProfile", {}),
                  .selinux_label = json_string_or(json, "selinuxLabel", {})};
  parse_scheduling(json, process);
  return process;
}

Spec parse_spec(const Json& json) {
  refuse(json, "hooks");
  const Json& root = part(json, "root");
  Spec spec{.oci_version = json_string(json, "ociVersion"),
            .process = parse_process(part(json, "process")),
            .root = Root{.path = json_string_or(root, "path", {}),
                         .readonly = json_bool_or(root, "readonly", false)},
            .hostname = json_string_or(json, "hostname", {}),
            .domainname = json_string_or(json, "domainname", {}),
            .mounts = parse_mounts(json),
            .annotations = string_map(json, "annotations"),
            .linux_ = parse_linux(part(json, "linux"))};
  if (spec.annotations.contains("")) throw Error(Errc::invalid, "'annotations' has an empty key");
  if (!spec.oci_version.starts_with("1.") || !parse_number(split(spec.oci_version, '.')[1]))
    throw Error::make(Errc::unsupported, "runtime spec version '{}', expected 1.x", spec.oci_version);
  spec.linux_.seccomp = take_seccomp_profile(spec.annotations, spec.linux_);
  spec.linux_.auto_ids = take_auto_ids(spec.annotations);
  spec.process.has_init = spec.annotations.erase(kInitAnnotation) > 0;
  return spec;
}

}  // namespace lay::runner
