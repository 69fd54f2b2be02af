#include <fmt/format.h>

#include "runner/spec.h"
#include "spec/json_fields.h"
#include "spec/linux_json.h"
#include "spec/names.h"
#include "spec/resources_json.h"
#include "spec/scheduling_json.h"
#include "spec/seccomp_json.h"

namespace lay::runner {

namespace {

Json to_json(const User& user) {
  Json json{{"uid", user.uid}, {"gid", user.gid}};
  if (!user.additional_gids.empty()) json["additionalGids"] = user.additional_gids;
  if (user.umask) json["umask"] = *user.umask;
  if (!user.username.empty()) json["username"] = user.username;
  if (!user.group_names.empty()) json["groupNames"] = user.group_names;
  return json;
}

Json to_json(const Capabilities& capabilities) {
  return {{"bounding", capabilities.bounding},
          {"effective", capabilities.effective},
          {"permitted", capabilities.permitted},
          {"inheritable", capabilities.inheritable},
          {"ambient", capabilities.ambient}};
}

Json to_json(const Process& process) {
  Json json{{"terminal", process.terminal},
            {"user", to_json(process.user)},
            {"args", process.args},
            {"env", process.env},
            {"cwd", process.cwd},
            {"capabilities", to_json(process.capabilities)},
            {"noNewPrivileges", process.no_new_privileges}};
  if (process.console_size.height != 0 || process.console_size.width != 0)
    json["consoleSize"] = {{"height", process.console_size.height}, {"width", process.console_size.width}};
  if (process.oom_score_adj) json["oomScoreAdj"] = *process.oom_score_adj;
  for (const Rlimit& limit : process.rlimits)
    json["rlimits"].push_back({{"type", limit.type}, {"hard", limit.hard}, {"soft", limit.soft}});
  if (!process.apparmor_profile.empty()) json["apparmorProfile"] = process.apparmor_profile;
  if (!process.selinux_label.empty()) json["selinuxLabel"] = process.selinux_label;
  add_scheduling(json, process);
  return json;
}

Json to_json(const Mount& mount) {
  Json json{{"destination", mount.destination}};
  if (!mount.type.empty()) json["type"] = mount.type;
  if (!mount.source.empty()) json["source"] = mount.source;
  if (!mount.options.empty()) json["options"] = mount.options;
  if (!mount.uid_mappings.empty()) json["uidMappings"] = to_json(mount.uid_mappings);
  if (!mount.gid_mappings.empty()) json["gidMappings"] = to_json(mount.gid_mappings);
  return json;
}

Json to_json(const Namespace& entry) {
  Json json{{"type", name_of(entry.type)}};
  if (!entry.path.empty()) json["path"] = entry.path;
  return json;
}

Json to_json(const Device& device) {
  return {{"path", device.path},   {"type", device.type},          {"major", device.major},
          {"minor", device.minor}, {"fileMode", device.file_mode}, {"uid", device.uid},
          {"gid", device.gid}};
}

Json to_json(const DeviceRule& rule) {
  Json json{{"allow", rule.allow}, {"type", rule.type}, {"access", rule.access}};
  if (rule.major) json["major"] = *rule.major;
  if (rule.minor) json["minor"] = *rule.minor;
  return json;
}

template <class Item>
Json list_of(const std::vector<Item>& items) {
  Json json = Json::array();
  for (const Item& item : items) json.push_back(to_json(item));
  return json;
}

Json to_json(const Resources& resources) {
  Json json{{"devices", list_of(resources.devices)}};
  if (resources.memory_limit) json["memory"]["limit"] = *resources.memory_limit;
  if (resources.memory_swap) json["memory"]["swap"] = *resources.memory_swap;
  if (resources.memory_reservation) json["memory"]["reservation"] = *resources.memory_reservation;
  if (resources.cpu_shares) json["cpu"]["shares"] = *resources.cpu_shares;
  if (!resources.cpus.empty()) json["cpu"]["cpus"] = resources.cpus;
  if (!resources.mems.empty()) json["cpu"]["mems"] = resources.mems;
  if (resources.cpu_quota) json["cpu"]["quota"] = *resources.cpu_quota;
  if (resources.cpu_period) json["cpu"]["period"] = *resources.cpu_period;
  if (resources.memory_swappiness) json["memory"]["swappiness"] = *resources.memory_swappiness;
  if (resources.disable_oom_killer) json["memory"]["disableOOMKiller"] = *resources.disable_oom_killer;
  if (resources.pids_limit) json["pids"]["limit"] = *resources.pids_limit;
  add_rare_resources(json, resources);
  return json;
}

Json to_json(const Linux& linux_part) {
  Json json{{"namespaces", list_of(linux_part.namespaces)}, {"devices", list_of(linux_part.devices)},
            {"resources", to_json(linux_part.resources)},   {"maskedPaths", linux_part.masked_paths},
            {"readonlyPaths", linux_part.readonly_paths},   {"sysctl", linux_part.sysctl}};
  if (!linux_part.uid_mappings.empty()) json["uidMappings"] = to_json(linux_part.uid_mappings);
  if (!linux_part.gid_mappings.empty()) json["gidMappings"] = to_json(linux_part.gid_mappings);
  for (const auto& [clock, offset] : linux_part.time_offsets)
    json["timeOffsets"][clock] = {{"secs", offset.secs}, {"nanosecs", offset.nanosecs}};
  if (linux_part.seccomp_rules) json["seccomp"] = seccomp_to_json(*linux_part.seccomp_rules);
  if (!linux_part.cgroups_path.empty()) json["cgroupsPath"] = linux_part.cgroups_path;
  add_rare_linux(json, linux_part);
  return json;
}

}  // namespace

Json to_json(const Spec& spec) {
  std::map<std::string, std::string> annotations = spec.annotations;
  annotations[kSeccompAnnotation] = name_of(spec.linux_.seccomp);
  if (spec.process.has_init) annotations[kInitAnnotation] = "true";
  if (spec.linux_.auto_ids)
    annotations[kUserNamespaceAnnotation] = fmt::format("{}{}", kAutoIds, *spec.linux_.auto_ids);
  Json json{{"ociVersion", spec.oci_version},
            {"process", to_json(spec.process)},
            {"mounts", list_of(spec.mounts)},
            {"annotations", annotations},
            {"linux", to_json(spec.linux_)}};
  json["root"] = {{"path", spec.root.path}, {"readonly", spec.root.readonly}};
  if (!spec.hostname.empty()) json["hostname"] = spec.hostname;
  if (!spec.domainname.empty()) json["domainname"] = spec.domainname;
  return json;
}

}  // namespace lay::runner
