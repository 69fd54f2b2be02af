#include "runner/isolation.h"

#include <fnmatch.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "rootfs/host_devices.h"
#include "security/capabilities.h"
#include "security/landlock.h"
#include "spec/names.h"

namespace lay::runner {

namespace {

struct CapabilitySet {
  std::set<int> numbers;
  bool is_all = false;
};

CapabilitySet parse_capabilities(const std::vector<std::string>& names) {
  CapabilitySet set;
  for (const std::string& name : names) {
    if (name == "ALL" || name == "all")
      set.is_all = true;
    else
      set.numbers.insert(capability_number(name));
  }
  return set;
}

void require_apart(const CapabilitySet& add, const CapabilitySet& drop) {
  if (add.is_all && drop.is_all)
    throw Error(Errc::invalid, "ALL capabilities are both added and dropped")
        .with_hint("leave out one of --cap-add and --cap-drop");
  for (const int number : add.numbers)
    if (drop.numbers.contains(number))
      throw Error::make(Errc::invalid, "{} is both added and dropped", capability_name(number))
          .with_hint("leave out one of --cap-add and --cap-drop");
}

/// Takes the paths that match from `paths`.
void erase_matching(std::vector<std::string>& paths, const std::string& pattern) {
  std::erase_if(paths, [&](const std::string& path) {
    return pattern == "ALL" || ::fnmatch(pattern.c_str(), path.c_str(), FNM_PATHNAME) == 0;
  });
}

/// The node in the container's /dev is made under its own rules.
std::string make_node_too(const std::string& access) {
  return access.find('m') == std::string::npos ? access + "m" : access;
}

void make_writable(Mount& mount) {
  if (mount.type == "sysfs" || mount.type == "cgroup") std::erase(mount.options, "ro");
}

}  // namespace

Capabilities choose_capabilities(const std::vector<std::string>& add, const std::vector<std::string>& drop) {
  const CapabilitySet added = parse_capabilities(add);
  const CapabilitySet dropped = parse_capabilities(drop);
  require_apart(added, dropped);
  std::set<int> chosen;
  if (added.is_all)
    chosen = available_capabilities();
  else if (!dropped.is_all)
    chosen = parse_capabilities(default_capabilities().bounding).numbers;
  for (const int number : dropped.numbers) chosen.erase(number);
  chosen.insert(added.numbers.begin(), added.numbers.end());
  std::vector<std::string> names;
  for (const int number : chosen) names.push_back(capability_name(number));
  return {.bounding = names, .effective = names, .permitted = names, .inheritable = {}, .ambient = {}};
}

void grant_capabilities(Spec& spec, const std::vector<std::string>& add,
                        const std::vector<std::string>& drop) {
  spec.process.capabilities = choose_capabilities(add, drop);
  spec.annotations.erase(kCapabilitiesAnnotation);
  if (parse_capabilities(add).is_all) spec.annotations[kCapabilitiesAnnotation] = kAllCapabilities;
}

void add_device(Spec& spec, const std::string& host, const std::string& inside, const std::string& access) {
  if (access.empty() || access.find_first_not_of("rwm") != std::string::npos)
    throw Error::make(Errc::invalid, "device access '{}' has letters other than r, w and m",
                      printable(access))
        .with_hint("r reads, w writes, m makes nodes: rwm");
  for (Device& device : find_devices(host, inside)) {
    spec.linux_.resources.devices.push_back({.allow = true,
                                             .type = device.type,
                                             .major = device.major,
                                             .minor = device.minor,
                                             .access = make_node_too(access)});
    std::erase_if(spec.linux_.devices, [&](const Device& other) { return other.path == device.path; });
    spec.linux_.devices.push_back(std::move(device));
  }
}

void unmask(Spec& spec, const std::string& path) {
  erase_matching(spec.linux_.masked_paths, path);
  erase_matching(spec.linux_.readonly_paths, path);
}

void restrict_by_landlock(Spec& spec, const std::string& rules) {
  require_landlock(parse_landlock(rules), landlock_abi());
  spec.annotations[kLandlockAnnotation] = rules;
}

void make_privileged(Spec& spec) {
  grant_capabilities(spec, {"ALL"}, {});
  spec.linux_.seccomp = SeccompProfile::unconfined;
  spec.linux_.seccomp_rules.reset();
  unmask(spec, "ALL");
  for (Mount& mount : spec.mounts) make_writable(mount);
  add_device(spec, "/dev", "/dev", "rwm");
  spec.linux_.resources.devices = {{.allow = true}};
}

}  // namespace lay::runner
