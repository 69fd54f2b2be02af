#include "runner/spec.h"

#include <algorithm>

#include "base/folder_names.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "security/capabilities.h"
#include "spec/throttle_paths.h"

namespace lay::runner {

namespace {

std::vector<Namespace> default_namespaces() {
  return {{NamespaceType::pid, {}}, {NamespaceType::network, {}}, {NamespaceType::mount, {}},
          {NamespaceType::ipc, {}}, {NamespaceType::uts, {}},     {NamespaceType::cgroup, {}}};
}

/// In the order in which they are mounted: what lies beneath another comes after it.
std::vector<Mount> default_mounts() {
  return {
      {"/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}},
      {"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}},
      {"/dev/pts",
       "devpts",
       "devpts",
       {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
      {"/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
      {"/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}},
      {"/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}},
      {"/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", "ro"}},
  };
}

/// Devices that programs take for granted: runtime-spec config-linux.md, "Default Devices".
/// /dev/console and /dev/ptmx are not nodes but a bind and a link.
std::vector<Device> default_devices() {
  return {{"/dev/null", "c", 1, 3},   {"/dev/zero", "c", 1, 5},    {"/dev/full", "c", 1, 7},
          {"/dev/random", "c", 1, 8}, {"/dev/urandom", "c", 1, 9}, {"/dev/tty", "c", 5, 0}};
}

/// Nothing but the nodes above and pseudo-terminals; unlike the peers, not even mknod of others.
std::vector<DeviceRule> default_device_rules() {
  std::vector<DeviceRule> rules{{.allow = false}};
  for (const Device& device : default_devices())
    rules.push_back({.allow = true, .type = "c", .major = device.major, .minor = device.minor});
  rules.push_back({.allow = true, .type = "c", .major = 5, .minor = 2});               // /dev/ptmx
  rules.push_back({.allow = true, .type = "c", .major = 136, .minor = std::nullopt});  // /dev/pts/*
  return rules;
}

/// What tells about the host or lets root inside act on it, although no namespace covers it.
std::vector<std::string> default_masked_paths() {
  static const std::vector<std::string> of_processors = throttle_paths("/sys/devices/system/cpu");
  std::vector<std::string> paths{
      "/proc/acpi",       "/proc/asound",        "/proc/interrupts",    "/proc/kcore",
      "/proc/keys",       "/proc/latency_stats", "/proc/sched_debug",   "/proc/scsi",
      "/proc/timer_list", "/proc/timer_stats",   "/sys/firmware",       "/sys/devices/virtual/powercap",
      "/sys/fs/selinux",  "/sys/kernel/debug",   "/sys/kernel/tracing", "/sys/kernel/security"};
  paths.insert(paths.end(), of_processors.begin(), of_processors.end());
  return paths;
}

std::vector<std::string> default_readonly_paths() {
  return {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
}

/// With a network namespace of its own nothing on the host is at stake: ping without CAP_NET_RAW for every
/// group, and port 80 for every user.
std::map<std::string, std::string> default_sysctls() {
  return {{"net.ipv4.ip_unprivileged_port_start", "0"}, {"net.ipv4.ping_group_range", "0 2147483647"}};
}

}  // namespace

std::vector<std::string> throttle_paths(const std::string& folder) {
  const std::string name = "/thermal_throttle";
  std::vector<std::string> paths;
  if (!sys::try_stat_at(sys::cwd(), folder + "/cpu0" + name)) return paths;  // as in most virtual machines
  for (const std::string& processor : list_names(sys::open_dir(sys::cwd(), folder)))
    if (processor.starts_with("cpu") && parse_number(std::string_view(processor).substr(3)))
      paths.push_back(folder + "/" + processor + name);
  return paths;
}

Spec default_spec() {
  Spec spec;
  spec.process.capabilities = default_capabilities();
  // A dump may go to a program of the host (core_pattern), and says what the memory held.
  spec.process.rlimits = {{"RLIMIT_CORE", 0, 0}};
  spec.mounts = default_mounts();
  spec.linux_.namespaces = default_namespaces();
  spec.linux_.devices = default_devices();
  spec.linux_.resources.devices = default_device_rules();
  spec.linux_.masked_paths = default_masked_paths();
  spec.linux_.readonly_paths = default_readonly_paths();
  spec.linux_.sysctl = default_sysctls();
  return spec;
}

bool has_namespace(const Spec& spec, NamespaceType type) {
  return std::any_of(spec.linux_.namespaces.begin(), spec.linux_.namespaces.end(),
                     [&](const Namespace& entry) { return entry.type == type; });
}

bool has_own_namespace(const Spec& spec, NamespaceType type) {
  return std::any_of(spec.linux_.namespaces.begin(), spec.linux_.namespaces.end(),
                     [&](const Namespace& entry) { return entry.type == type && entry.path.empty(); });
}

}  // namespace lay::runner
