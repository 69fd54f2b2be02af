#pragma once

#include <string>

#include "cgroup/group_name.h"
#include "oci/hooks.h"
#include "runner/oci.h"
#include "runner/spec.h"

namespace lay::runner {

/// Adds what runc adds: nodes of any kind can be made, and the default ones used.
void add_default_device_rules(std::vector<DeviceRule>& rules);

/// A runtime bundle (bundle.md) whose configuration was read and found in order.
struct Bundle {
  std::string path;    ///< absolute
  std::string config;  ///< the text of config.json
  Spec spec;           ///< root.path is absolute
  Hooks hooks;
};

/// `config` is the path of the configuration; empty: the bundle's config.json. Throws not_found, invalid,
/// unsupported.
Bundle read_bundle(const std::string& path, const std::string& config, const OciWarn& warn);

/// A config.json as a bundle's: what the runtime-spec has a runtime add is in it, the default
/// devices and their rules. Throws invalid, unsupported.
Spec parse_bundle_config(Json json, const OciWarn& warn = {});

/// Where a process's capabilities come from: a user namespace other than lay's has them all.
enum class CapabilitySource { callers_own, user_namespace };

/// A process as an engine gives it: what lay alone would understand is dropped, and so are ambient
/// capabilities that cannot be and, with a warning, all that nobody can grant here. Throws invalid without a
/// command, or when its folder is not absolute.
void settle_process(Process& process, CapabilitySource source, const OciWarn& warn);

/// `path` taken from the folder `base`.
std::string absolute_in(const std::string& base, const std::string& path);

/// By linux.cgroupsPath, from the root of each hierarchy; without one beneath lay's own parent.
CgroupName cgroup_of(const std::string& id, const Spec& spec);

}  // namespace lay::runner
