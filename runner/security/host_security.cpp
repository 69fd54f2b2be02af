#include "runner/host_security.h"

#include <fcntl.h>
#include <linux/keyctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "cgroup/layout.h"
#include "cgroup/resctrl.h"
#include "security/capabilities.h"
#include "security/confinement.h"
#include "spec/names.h"

namespace lay::runner {

namespace {

constexpr std::size_t kMaxFile = 64 * 1024;
constexpr std::array kControllers{"cpu", "cpuset", "memory", "pids", "io", "devices", "freezer"};

/// A file's text without its last newline; empty when it is not there or cannot be read.
std::string text_of(const std::string& path) {
  try {
    const auto fd = sys::try_open_at(sys::cwd(), path, O_RDONLY);
    if (!fd) return {};
    std::string text = sys::read_all(*fd, kMaxFile);
    while (text.ends_with('\n')) text.pop_back();
    return text;
  } catch (const Error&) {
    return {};
  }
}

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

const char* yes_or_no(bool state) {
  return state ? "yes" : "no";
}

/// Whether the kernel has the call: it fails otherwise than with ENOSYS for arguments that mean nothing.
bool has_call(long number) {
  return ::syscall(number, -1, nullptr, -1, nullptr, 0) >= 0 || errno != ENOSYS;
}

void add_namespaces(std::vector<SecurityFact>& facts) {
  constexpr std::array<std::pair<const char*, const char*>, 8> kFiles{{{"mount", "mnt"},
                                                                       {"pid", "pid"},
                                                                       {"network", "net"},
                                                                       {"ipc", "ipc"},
                                                                       {"uts", "uts"},
                                                                       {"cgroup", "cgroup"},
                                                                       {"user", "user"},
                                                                       {"time", "time"}}};
  for (const auto& [name, file] : kFiles) {
    const bool is_there = exists(std::string("/proc/self/ns/") + file);
    const std::string most = text_of(fmt::format("/proc/sys/user/max_{}_namespaces", file));
    facts.push_back({fmt::format("namespace {}", name), yes_or_no(is_there && most != "0"),
                     most == "0" ? fmt::format("user.max_{}_namespaces is 0", file) : ""});
  }
}

void add_filters(std::vector<SecurityFact>& facts) {
  const std::string actions = text_of("/proc/sys/kernel/seccomp/actions_avail");
  const bool has_filters = ::prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0 && !actions.empty();
  facts.push_back({"seccomp", yes_or_no(has_filters), actions});
  const int abi = landlock_abi();
  facts.push_back({"landlock", abi == 0 ? "no" : fmt::format("revision {}", abi),
                   abi == 0 ? "not in this kernel, or not in its lsm= at boot"
                            : "paths from 3, ports from 4, scopes from 6"});
  facts.push_back({"no new privileges", "on request", "--security-opt no-new-privileges"});
}

bool has_apparmor() {
  return text_of("/sys/module/apparmor/parameters/enabled") == "Y";
}

bool has_selinux() {
  return exists("/sys/fs/selinux/enforce");
}

void add_modules(std::vector<SecurityFact>& facts) {
  const std::string modules = text_of("/sys/kernel/security/lsm");
  facts.push_back({"security modules", modules.empty() ? "unknown" : modules,
                   modules.empty() ? "securityfs is not mounted on /sys/kernel/security" : ""});
  facts.push_back({"apparmor", yes_or_no(has_apparmor()), has_apparmor() ? "lay sets no profiles" : ""});
  facts.push_back({"selinux", yes_or_no(has_selinux()), has_selinux() ? "lay sets no labels" : ""});
}

/// "v1", "v2", or empty where no hierarchy has the controller. Of v1 "blkio" is what v2 calls "io"; v2
/// filters devices by programs and freezes without a controller.
std::string controller_version(const std::vector<CgroupHierarchy>& hierarchies, std::string_view controller) {
  for (const CgroupHierarchy& hierarchy : hierarchies) {
    if (hierarchy.version == CgroupVersion::v1 && hierarchy.has(controller == "io" ? "blkio" : controller))
      return "v1";
    const bool is_built_in = controller == "devices" || controller == "freezer";
    if (hierarchy.version == CgroupVersion::v2 && hierarchy.has(controller)) return "v2";
    if (hierarchy.version == CgroupVersion::v2 && is_built_in && hierarchies.size() == 1) return "v2";
  }
  return {};
}

void add_cgroups(std::vector<SecurityFact>& facts) {
  const std::vector<CgroupHierarchy>& hierarchies = find_cgroup_hierarchies();
  for (const char* controller : kControllers) {
    const std::string version = controller_version(hierarchies, controller);
    facts.push_back({fmt::format("cgroup {}", controller), version.empty() ? "no" : version,
                     version.empty() ? "no hierarchy that is mounted has it" : ""});
  }
}

void add_own_rights(std::vector<SecurityFact>& facts) {
  const std::set<int> present = available_capabilities();
  std::vector<std::string> missing;
  const auto last = parse_number(text_of("/proc/sys/kernel/cap_last_cap")).value_or(40);
  for (int number = 0; number <= static_cast<int>(last) && number <= 40; ++number)
    if (!present.contains(number)) missing.push_back(capability_name(number));
  facts.push_back({"own capabilities", missing.empty() ? "all" : "without " + join(missing, " "),
                   missing.empty() ? "" : "what takes them, such as higher limits, is refused"});
}

void add_rest(std::vector<SecurityFact>& facts) {
  facts.push_back({"id-mapped mounts", yes_or_no(has_call(SYS_mount_setattr)), "--userns"});
  facts.push_back({"openat2", yes_or_no(has_call(SYS_openat2)), ""});
  const std::optional<std::string> resctrl = try_find_resctrl();
  facts.push_back({"resctrl", yes_or_no(resctrl.has_value()),
                   resctrl.value_or("--rdt-class, --l3-cache-schema, --mem-bw-schema need it mounted")});
  facts.push_back({"session keyring", yes_or_no(has_call(SYS_keyctl)), "one for each container"});
  const std::string tiocsti = text_of("/proc/sys/dev/tty/legacy_tiocsti");
  facts.push_back(
      {"TIOCSTI", tiocsti == "0" ? "off" : "on", "denied in containers by the built-in seccomp profile"});
  const std::string pattern = text_of("/proc/sys/kernel/core_pattern");
  facts.push_back(
      {"core dumps", pattern.starts_with('|') ? "to a program of the host" : "to files", pattern});
}

}  // namespace

std::vector<SecurityFact> survey_security() {
  std::vector<SecurityFact> facts;
  add_namespaces(facts);
  add_filters(facts);
  add_modules(facts);
  add_cgroups(facts);
  add_own_rights(facts);
  add_rest(facts);
  return facts;
}

std::vector<std::string> missing_protections(const Spec& spec) {
  prepare_confinement(spec);
  std::vector<std::string> missing;
  for (const NamespaceType type : {NamespaceType::mount, NamespaceType::pid, NamespaceType::network,
                                   NamespaceType::ipc, NamespaceType::uts, NamespaceType::cgroup})
    if (!has_namespace(spec, type))
      missing.push_back(fmt::format("its {} namespace is the host's", name_of(type)));
  if (!has_namespace(spec, NamespaceType::user))
    missing.emplace_back(
        "root inside is root of the host, with the capabilities listed (--userns auto changes that)");
  if (spec.linux_.seccomp == SeccompProfile::unconfined) missing.emplace_back("no filter of system calls");
  if (spec.linux_.masked_paths.empty()) missing.emplace_back("nothing of /proc and /sys is masked");
  if (!has_apparmor() && !has_selinux())
    missing.emplace_back("this machine has neither AppArmor nor SELinux");
  if (has_apparmor() || has_selinux()) missing.emplace_back("lay sets no labels of AppArmor or SELinux");
  if (!has_call(SYS_keyctl)) missing.emplace_back("this kernel has no key rings, and so none of its own");
  const std::vector<CgroupHierarchy>& hierarchies = find_cgroup_hierarchies();
  for (const char* controller : {"pids", "devices"})
    if (controller_version(hierarchies, controller).empty())
      missing.push_back(fmt::format("no cgroup controller '{}' is mounted", controller));
  return missing;
}

}  // namespace lay::runner
