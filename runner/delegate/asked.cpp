#include "delegate/asked.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/error.h"
#include "delegate/dialect.h"
#include "security/capabilities.h"
#include "spec/names.h"

namespace lay::runner {

namespace {

/// What is asked for by a flag and not had.
struct Lack {
  const char* flag;
  bool (*is_asked)(const ContainerConfig& config);
  const char* hint = "leave it out, or leave out --runtime";
};

/// As --privileged has it: what it comes with is taken as far as there is such a thing.
bool has_every_device(const Spec& spec) {
  return spec.linux_.resources.devices == std::vector<DeviceRule>{{.allow = true}};
}

bool asks_for_clocks(const ContainerConfig& config) {
  return has_namespace(config.spec, NamespaceType::time);
}

/// "--FLAG" or "--FLAG=true" among the runtime's own.
bool has_switch(const ContainerConfig& config, const std::string& flag) {
  return std::ranges::any_of(config.runtime.flags, [&](const std::string& given) {
    return given == flag || given == flag + "=true";
  });
}

bool asks_for_seccomp(const ContainerConfig& config) {
  return config.spec.linux_.seccomp == SeccompProfile::listed && !has_switch(config, "--oci-seccomp");
}

bool asks_for_sysctls(const ContainerConfig& config) {
  const auto defaults = default_spec().linux_.sysctl;
  return !std::ranges::includes(defaults, config.spec.linux_.sysctl);
}

bool asks_for_devices(const ContainerConfig& config) {
  return !has_every_device(config.spec) &&
         config.spec.linux_.resources.devices != default_spec().linux_.resources.devices;
}

bool asks_for_masks(const ContainerConfig& config) {
  const std::vector<std::string> defaults = default_spec().linux_.masked_paths;
  return std::ranges::any_of(config.spec.linux_.masked_paths, [&](const std::string& path) {
    return std::ranges::find(defaults, path) == defaults.end();
  });
}

bool has_own(const ContainerConfig& config, NamespaceType type) {
  return has_own_namespace(config.spec, type) && !config.joined.contains(type);
}

bool asks_for_others_processes(const ContainerConfig& config) {
  return !has_own(config, NamespaceType::pid);
}

bool asks_for_others_ipc(const ContainerConfig& config) {
  return !has_own(config, NamespaceType::ipc);
}

bool asks_for_others_cgroups(const ContainerConfig& config) {
  return !has_own(config, NamespaceType::cgroup);
}

/// One by one: ALL, and ALL but some, is of all that it knows.
bool asks_for_one_of(const ContainerConfig& config, const std::vector<std::string>& names) {
  const std::vector<std::string>& asked = config.spec.process.capabilities.bounding;
  if (config.spec.annotations.contains(kCapabilitiesAnnotation) ||
      asked.size() == available_capabilities().size())
    return false;
  return std::ranges::any_of(
      asked, [&](const std::string& name) { return std::ranges::find(names, name) != names.end(); });
}

bool asks_for_unknown_capabilities(const ContainerConfig& config) {
  return asks_for_one_of(config,
                         dialect_of(config.runtime.program, config.network.mode).unknown_capabilities);
}

bool asks_for_raw_sockets(const ContainerConfig& config) {
  return asks_for_one_of(config, {"CAP_NET_RAW"}) && !has_switch(config, "--net-raw");
}

constexpr std::array kLacksOfCrun{Lack{"--time", asks_for_clocks}};

constexpr std::array kLacksOfRunsc{
    Lack{"--time", asks_for_clocks},
    Lack{"--security-opt seccomp=FILE", asks_for_seccomp,
         "--runtime-flag oci-seccomp has it heed the profile, with EPERM for every errno"},
    Lack{"--security-opt mask=", asks_for_masks},
    Lack{"--sysctl", asks_for_sysctls},
    Lack{"--device", asks_for_devices},
    Lack{"--pid", asks_for_others_processes},
    Lack{"--ipc", asks_for_others_ipc},
    Lack{"--cgroupns", asks_for_others_cgroups},
    Lack{"--cap-add PERFMON, BPF and CHECKPOINT_RESTORE", asks_for_unknown_capabilities,
         "leave out --runtime; ALL is all that it knows"},
    Lack{"--cap-add NET_RAW", asks_for_raw_sockets, "--runtime-flag net-raw has it give raw sockets"},
};

std::span<const Lack> lacks_of(RuntimeFamily family) {
  if (family == RuntimeFamily::crun) return kLacksOfCrun;
  if (family == RuntimeFamily::runsc) return kLacksOfRunsc;
  return {};
}

}  // namespace

void check_asked(const ContainerConfig& config) {
  for (const Lack& lack : lacks_of(family_of(config.runtime.program)))
    if (lack.is_asked(config))
      throw Error::make(Errc::unsupported, "{} cannot be had of the runtime '{}'", lack.flag,
                        config.runtime.program)
          .with_hint(lack.hint);
}

}  // namespace lay::runner
