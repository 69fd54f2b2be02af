#include "oci/bundle.h"

#include <fcntl.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "rootfs/mount_options.h"
#include "security/capabilities.h"
#include "security/sysctl.h"
#include "spec/names.h"

namespace lay::runner {

namespace {

constexpr const char* kConfig = "config.json";

bool has_device(const Spec& spec, const std::string& path) {
  return std::ranges::any_of(spec.linux_.devices, [&](const Device& device) { return device.path == path; });
}

/// config-linux.md, "Default Devices".
void add_default_devices(Spec& spec) {
  for (Device& device : default_spec().linux_.devices)
    if (!has_device(spec, device.path)) spec.linux_.devices.push_back(std::move(device));
}

/// The kernel lets nobody raise them; `runc spec` lists them all the same, and no runtime minds.
void drop_impossible_ambient(Capabilities& capabilities) {
  const auto has = [](const std::vector<std::string>& set, const std::string& name) {
    return std::ranges::find(set, name) != set.end();
  };
  std::erase_if(capabilities.ambient, [&](const std::string& name) {
    return !has(capabilities.inheritable, name) || !has(capabilities.permitted, name);
  });
}

/// "Any value which cannot be mapped to a relevant kernel interface, or cannot be granted otherwise, MUST be
/// logged as a warning": config.md, "Linux Process".
void drop_ungrantable(Capabilities& capabilities, CapabilitySource source, const OciWarn& warn) {
  const std::set<int> available =
      source == CapabilitySource::user_namespace ? known_capabilities() : available_capabilities();
  const auto is_grantable = [&](const std::string& name) {
    const auto number = find_capability(name);
    return number && available.contains(*number);
  };
  std::set<std::string> missing;
  for (auto* names : {&capabilities.bounding, &capabilities.effective, &capabilities.permitted,
                      &capabilities.inheritable, &capabilities.ambient})
    std::erase_if(
        *names, [&](const std::string& name) { return !is_grantable(name) && (missing.insert(name), true); });
  if (!warn) return;
  for (const std::string& name : missing)
    warn(fmt::format("capability '{}' cannot be granted here and is left out", printable(name)));
}

void check_process(const Process& process) {
  if (process.args.empty() || process.args.front().empty())
    throw Error(Errc::invalid, "process.args is empty: there is no command to run");
  if (!process.cwd.starts_with('/'))
    throw Error::make(Errc::invalid, "process.cwd '{}' is not an absolute path", printable(process.cwd));
}

void check_namespaces(const Spec& spec) {
  std::vector<NamespaceType> seen;
  for (const Namespace& entry : spec.linux_.namespaces) {
    if (std::ranges::find(seen, entry.type) != seen.end())
      throw Error::make(Errc::invalid, "linux.namespaces has '{}' twice", name_of(entry.type));
    seen.push_back(entry.type);
  }
  if (!has_namespace(spec, NamespaceType::mount))
    throw Error(Errc::unsupported, "a container needs a mount namespace other than the host's")
        .with_hint("put {\"type\": \"mount\"} into linux.namespaces");
  if (!has_own_namespace(spec, NamespaceType::mount) && has_namespace(spec, NamespaceType::user))
    throw Error(Errc::unsupported,
                "root of a user namespace may not mount anything in the mount namespace that is joined")
        .with_hint("leave the user namespace out, or the path of the mount namespace");
  if (!spec.hostname.empty() && !has_namespace(spec, NamespaceType::uts))
    throw Error(Errc::invalid, "a hostname needs a uts namespace, or it would be the host's");
  if (!spec.domainname.empty() && !has_namespace(spec, NamespaceType::uts))
    throw Error(Errc::invalid, "a domainname needs a uts namespace, or it would be the host's");
  const bool has_maps = !spec.linux_.uid_mappings.empty() || !spec.linux_.gid_mappings.empty();
  if (has_maps && !has_namespace(spec, NamespaceType::user))
    throw Error(Errc::invalid, "linux.uidMappings and gidMappings need a user namespace");
  if (!spec.linux_.time_offsets.empty() && !has_own_namespace(spec, NamespaceType::time))
    throw Error(Errc::invalid, "linux.timeOffsets need a time namespace of the container's own");
}

void require_absolute(const std::string& field, const std::string& path) {
  if (!path.starts_with('/'))
    throw Error::make(Errc::invalid, "{} has '{}', which is not an absolute path", field, printable(path));
}

/// config-linux.md: "MUST be an absolute path", "MUST be absolute paths".
void check_paths(const Linux& linux_part) {
  for (const Namespace& entry : linux_part.namespaces)
    if (!entry.path.empty()) require_absolute("linux.namespaces", entry.path);
  for (const std::string& path : linux_part.masked_paths) require_absolute("linux.maskedPaths", path);
  for (const std::string& path : linux_part.readonly_paths) require_absolute("linux.readonlyPaths", path);
}

void refuse_nul(const Json& json) {
  if (json.is_string() && json.get_ref<const std::string&>().find('\0') != std::string::npos)
    throw Error::make(Errc::invalid, "'{}' has a NUL in it", printable(json.get<std::string>()));
  if (json.is_object())
    for (const auto& [key, part] : json.items()) refuse_nul(Json(key));
  if (json.is_structured())
    for (const Json& part : json) refuse_nul(part);
}

/// A root with a folder for /dev alone: its devices are put into a tmpfs all the same, and none into the
/// root.
void add_missing_dev(std::vector<Mount>& mounts) {
  if (std::ranges::any_of(mounts,
                          [](const Mount& mount) { return normalize_path(mount.destination) == "/dev"; }))
    return;
  for (Mount& mount : default_spec().mounts)
    if (mount.destination == "/dev") mounts.insert(mounts.begin(), std::move(mount));
}

/// What is mounted later on the very place of the cgroups takes it.
void drop_covered_cgroups(std::vector<Mount>& mounts) {
  const auto is_covered = [&](const Mount& mount) {
    const auto later = mounts.begin() + (&mount - mounts.data()) + 1;
    return (mount.type == "cgroup" || mount.type == "cgroup2") &&
           std::any_of(later, mounts.end(), [&](const Mount& other) {
             return normalize_path(other.destination) == normalize_path(mount.destination);
           });
  };
  const auto covered = std::ranges::find_if(mounts, is_covered);
  if (covered != mounts.end()) mounts.erase(covered);
}

/// "either absolute or relative to the bundle": config.md, "Mounts". Not normalized: ".." behind a symlink is
/// the kernel's to resolve.
void settle_source(Mount& mount, const std::string& bundle) {
  const bool is_remount = std::ranges::find(mount.options, "remount") != mount.options.end();
  if (!is_bind(mount) || is_remount) return;
  if (mount.source.empty())
    throw Error::make(Errc::invalid, "mount '{}': a bind mount needs a source", printable(mount.destination));
  if (!mount.source.starts_with('/')) mount.source = bundle + "/" + mount.source;
}

std::string absolute_path(const std::string& path) {
  return plain_path(std::filesystem::absolute(path).string());
}

}  // namespace

void add_default_device_rules(std::vector<DeviceRule>& rules) {
  if (rules.empty()) rules.push_back({.allow = false});
  for (const char* type : {"c", "b"}) rules.push_back({.allow = true, .type = type, .access = "m"});
  for (DeviceRule& rule : default_spec().linux_.resources.devices)
    if (rule.allow) rules.push_back(std::move(rule));
}

Json parse_oci_json(std::string_view text, const std::string& what) {
  Json json = parse_json(text, what);
  refuse_nul(json);
  return json;
}

Spec parse_bundle_config(Json json, const OciWarn& warn) {
  json.erase("hooks");  // parse_hooks() is for them
  Spec spec = parse_spec(json);
  const Json* linux_part = json_find(json, "linux");
  if (linux_part == nullptr) throw Error(Errc::unsupported, "the configuration is not one for Linux");
  if (json_find(*linux_part, "seccomp") == nullptr && spec.linux_.seccomp == SeccompProfile::builtin)
    spec.linux_.seccomp = SeccompProfile::unconfined;
  settle_process(spec.process,
                 has_namespace(spec, NamespaceType::user) ? CapabilitySource::user_namespace
                                                          : CapabilitySource::callers_own,
                 warn);
  add_missing_dev(spec.mounts);
  drop_covered_cgroups(spec.mounts);
  check_namespaces(spec);
  check_paths(spec.linux_);
  check_sysctls(spec, SysctlsOf::joined_too);
  add_default_devices(spec);
  add_default_device_rules(spec.linux_.resources.devices);
  return spec;
}

Bundle read_bundle(const std::string& path, const std::string& config, const OciWarn& warn) {
  Bundle bundle{.path = absolute_path(path), .config = {}, .spec = {}};
  const std::string file = config.empty() ? bundle.path + "/" + kConfig : config;
  return with_context(fmt::format("bundle '{}'", printable(bundle.path)), [&] {
    bundle.config = with_context(printable(file), [&] {
      return sys::read_all(sys::open_at(sys::cwd(), file, O_RDONLY), kMaxJsonBytes);
    });
    Json json = parse_oci_json(bundle.config, kConfig);
    bundle.hooks = parse_hooks(json);
    bundle.spec = parse_bundle_config(std::move(json), warn);
    if (bundle.spec.root.path.empty()) throw Error(Errc::invalid, "root.path is missing");
    bundle.spec.root.path = absolute_in(bundle.path, bundle.spec.root.path);
    const auto root = sys::try_open_at(sys::cwd(), bundle.spec.root.path, O_PATH | O_DIRECTORY);
    if (!root)
      throw Error::make(Errc::not_found, "root.path '{}' does not exist", printable(bundle.spec.root.path));
    bundle.spec.root.path = std::filesystem::canonical(bundle.spec.root.path).string();
    for (Mount& mount : bundle.spec.mounts) settle_source(mount, bundle.path);
    return std::move(bundle);
  });
}

void settle_process(Process& process, CapabilitySource source, const OciWarn& warn) {
  process.user.username.clear();  // only Windows has it; lay's own containers are another matter
  process.user.group_names.clear();
  process.user.lists_primary_group = false;
  drop_ungrantable(process.capabilities, source, warn);
  drop_impossible_ambient(process.capabilities);
  check_process(process);
}

std::string absolute_in(const std::string& base, const std::string& path) {
  return (std::filesystem::path(base) / path).lexically_normal().string();
}

CgroupName cgroup_of(const std::string& id, const Spec& spec) {
  const std::string& path = spec.linux_.cgroups_path;
  if (path.empty()) return {id};  // beneath lay's own: at the root others may have one of that name
  std::vector<std::string> folders = parse_cgroup_path(path);
  std::string name = std::move(folders.back());
  folders.pop_back();
  return {std::move(name), join(folders, "/")};
}

}  // namespace lay::runner
