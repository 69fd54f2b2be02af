#include <unistd.h>

#include <algorithm>
#include <array>

#include "rootfs/mount_options.h"
#include "runner/oci.h"
#include "security/capabilities.h"
#include "security/seccomp_compile.h"
#include "spec/names.h"
#include "spec/seccomp_json.h"

namespace lay::runner {

namespace {

std::vector<std::string> namespace_names() {
  constexpr std::array kAll{NamespaceType::cgroup,  NamespaceType::ipc, NamespaceType::mount,
                            NamespaceType::network, NamespaceType::pid, NamespaceType::time,
                            NamespaceType::user,    NamespaceType::uts};
  std::vector<std::string> names;
  for (const NamespaceType type : kAll) names.push_back(name_of(type));
  return names;
}

/// Whatever this process has: features.md, "irrelevant to the actual availability".
std::vector<std::string> capability_names() {
  std::vector<std::string> names;
  for (const int number : known_capabilities()) names.push_back(capability_name(number));
  return names;
}

/// "host" and whatever the user chose to hide or add stay; what only root may do goes.
void make_rootless(Spec& spec) {
  std::erase_if(spec.linux_.namespaces,
                [](const Namespace& entry) { return entry.type == NamespaceType::network; });
  spec.linux_.namespaces.push_back({NamespaceType::user, {}});
  spec.linux_.uid_mappings = {{.container_id = 0, .host_id = ::geteuid(), .size = 1}};
  spec.linux_.gid_mappings = {{.container_id = 0, .host_id = ::getegid(), .size = 1}};
  spec.linux_.sysctl.clear();
  for (Mount& mount : spec.mounts) {
    std::erase(mount.options, "gid=5");
    if (mount.type != "sysfs") continue;
    mount = {"/sys", "none", "/sys", {"rbind", "nosuid", "noexec", "nodev", "ro"}};
  }
  std::erase_if(spec.mounts, [](const Mount& mount) { return mount.type == "cgroup"; });
}

}  // namespace

Json oci_features() {
  return {
      {"ociVersionMin", "1.0.0"},
      {"ociVersionMax", kRuntimeSpecVersion},
      {"hooks", {"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"}},
      {"mountOptions", known_mount_options()},
      {"linux",
       {{"namespaces", namespace_names()},
        {"capabilities", capability_names()},
        {"cgroup", {{"v1", true}, {"v2", true}, {"systemd", false}, {"systemdUser", false}, {"rdma", true}}},
        {"seccomp",
         {{"enabled", true},
          {"actions", seccomp_action_names()},
          {"operators", seccomp_operator_names()},
          {"archs",
           {"SCMP_ARCH_X86", "SCMP_ARCH_X86_64", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"}},
          {"knownFlags", seccomp_flag_names()},
          {"supportedFlags", seccomp_flag_names()}}},
        {"apparmor", {{"enabled", true}}},
        {"selinux", {{"enabled", true}}},
        {"intelRdt", {{"enabled", true}}},
        {"mountExtensions", {{"idmap", {{"enabled", true}}}}}}},
      {"annotations", {{"dev.lay.version", LAY_VERSION}}},
      {"potentiallyUnsafeConfigAnnotations", {"dev.lay."}}};
}

Json oci_template(OciSpecKind kind) {
  Spec spec = default_spec();
  spec.root = {.path = "rootfs", .readonly = true};
  spec.hostname = "lay";
  spec.process.terminal = true;
  spec.process.args = {"sh"};
  spec.process.env = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"};
  spec.process.no_new_privileges = true;
  if (kind == OciSpecKind::rootless) make_rootless(spec);
  Json json = to_json(spec);
  json.erase("annotations");  // lay's own profile is known to lay alone
  return json;
}

}  // namespace lay::runner
