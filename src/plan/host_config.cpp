#include "plan/host_config.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "context.h"
#include "flags/mount_words.h"
#include "flags/surroundings_flags.h"
#include "generate/recipe.h"
#include "lists/container_filter.h"

namespace lay::cli {

namespace {

constexpr std::uint64_t kUsualPeriod = 100'000;  // microseconds, the kernel's

/// The values of all settings by that flag.
Json values_of(const Recipe& recipe, std::string_view flag) {
  Json values = Json::array();
  for (const Setting& setting : recipe.settings)
    if (setting.flag == flag) values.push_back(setting.value);
  return values;
}

std::string value_of(const Recipe& recipe, std::string_view flag, const std::string& otherwise) {
  const Json values = values_of(recipe, flag);
  return values.empty() ? otherwise : values.front().get<std::string>();
}

bool has(const Recipe& recipe, std::string_view flag) {
  return !values_of(recipe, flag).empty();
}

/// As docker has it: options by path.
Json tmpfs_json(const Recipe& recipe) {
  Json json = Json::object();
  for (const Setting& setting : recipe.settings) {
    if (setting.flag != "tmpfs") continue;
    const auto [path, options] = cut(setting.value, ':');
    json[path] = options;
  }
  return json;
}

/// As docker has an empty one: null.
Json list_json(const std::vector<std::string>& list) {
  return list.empty() ? Json() : Json(list);
}

/// As docker has it: the members of an object.
Json set_json(const std::vector<std::string>& members) {
  Json json;
  for (const std::string& member : members) json[member] = Json::object();
  return json;
}

/// Those that are known, and those that are published.
std::vector<std::string> exposed_ports(const runner::ContainerConfig& config) {
  std::vector<std::string> ports;
  if (const std::string noted = note_of(config, note::kExposedPorts); !noted.empty())
    ports = split(noted, ',');
  for (const runner::PortMapping& port : config.network.ports)
    ports.push_back(runner::port_name(port.container_port, port.protocol));
  return ports;
}

std::string network_mode(const runner::ContainerConfig& config, const Recipe& recipe) {
  if (config.network.mode != runner::NetworkMode::bridge) return value_of(recipe, "network", "");
  return config.network.name.empty() ? "bridge" : config.network.name;
}

std::int64_t nano_cpus(const runner::Resources& limits) {
  const std::int64_t quota = limits.cpu_quota.value_or(0);
  const auto period = static_cast<std::int64_t>(limits.cpu_period.value_or(kUsualPeriod));
  return quota > 0 && period > 0 ? quota * 1'000'000'000 / period : 0;
}

void put_limits(const runner::Resources& limits, Json& json) {
  json["Memory"] = limits.memory_limit.value_or(0);
  json["MemorySwap"] = limits.memory_swap.value_or(0);
  json["MemoryReservation"] = limits.memory_reservation.value_or(0);
  json["NanoCpus"] = nano_cpus(limits);
  json["CpuPeriod"] = limits.cpu_period.value_or(0);
  json["CpuQuota"] = limits.cpu_quota.value_or(0);
  json["CpuShares"] = limits.cpu_shares.value_or(0);
  json["CpusetCpus"] = limits.cpus;
  json["CpusetMems"] = limits.mems;
  json["PidsLimit"] = limits.pids_limit.value_or(0);
  json["BlkioWeight"] = limits.block_io.weight.value_or(0);
  json["OomKillDisable"] = limits.disable_oom_killer.value_or(false);
}

/// Without the mounts that every container has, and those in memory, which are in HostConfig with podman and
/// docker.
std::vector<runner::Mount> volumes_in(const runner::Spec& spec) {
  const runner::Spec usual = runner::default_spec();
  std::vector<runner::Mount> mounts;
  for (const runner::Mount& mount : spec.mounts)
    if (mount.type != "tmpfs" &&
        std::ranges::find(usual.mounts, mount.destination, &runner::Mount::destination) == usual.mounts.end())
      mounts.push_back(mount);
  return mounts;
}

std::string propagation_of(const runner::Mount& mount) {
  const auto word = std::ranges::find_if(mount.options, is_propagation_word);
  return word == mount.options.end() ? "rprivate" : *word;
}

/// Those of users.
Json annotations_json(const runner::Spec& spec) {
  Json json = Json::object();
  for (const auto& [key, value] : spec.annotations)
    if (!key.starts_with("dev.lay.")) json[key] = value;
  return json;
}

}  // namespace

Json ports_json(const std::vector<runner::PortMapping>& ports) {
  Json result = Json::object();
  for (const runner::PortMapping& port : ports)
    result[runner::port_name(port.container_port, port.protocol)].push_back(
        {{"HostIp", port.host_ip}, {"HostPort", port.host_port == 0 ? "" : std::to_string(port.host_port)}});
  return result;
}

Json config_json(const runner::ContainerConfig& config) {
  const runner::Process& process = config.spec.process;
  const std::size_t noted = parse_number(note_of(config, note::kEntrypointWords)).value_or(0);
  const auto cmd = process.args.begin() + static_cast<std::ptrdiff_t>(std::min(noted, process.args.size()));
  return Json{
      {"Image", note_of(config, note::kImage)},
      {"Hostname", config.spec.hostname},
      {"Env", process.env},
      {"Entrypoint", list_json({process.args.begin(), cmd})},
      {"Cmd", list_json({cmd, process.args.end()})},
      {"WorkingDir", process.cwd},
      {"User", process.user.username},
      {"Tty", process.terminal},
      {"OpenStdin", config.open_stdin},
      {"Labels", config.labels},
      {"ExposedPorts", set_json(exposed_ports(config))},
      {"Volumes", set_json(volume_paths(config.spec))},
      {"Timeout", config.timeout.count()},
      {"Umask", fmt::format("{:04o}", process.user.umask.value_or(022))},
      {"Timezone", time_zone_of(config.spec)},
      {"StopSignal", config.stop_signal},
  };
}

Json host_config_json(const runner::ContainerConfig& config) {
  const Recipe recipe = recipe_of(config, {}, {});
  const bool is_privileged = has(recipe, "privileged");
  Json json{
      {"Runtime", config.runtime.is_own() ? "lay" : config.runtime.program},
      {"NetworkMode", network_mode(config, recipe)},
      {"PortBindings", ports_json(config.network.ports)},
      {"AutoRemove", config.auto_remove},
      {"RestartPolicy", {{"Name", "no"}, {"MaximumRetryCount", 0}}},
      {"LogConfig", {{"Type", config.log.is_kept ? "k8s-file" : "none"}, {"Config", Json::object()}}},
      {"Privileged", is_privileged},
      {"ReadonlyRootfs", config.spec.root.readonly},
      {"Init", config.spec.process.has_init},
      {"DeviceCgroupRules", values_of(recipe, "device-cgroup-rule")},
      {"Annotations", annotations_json(config.spec)},
      {"CapAdd", values_of(recipe, "cap-add")},
      {"CapDrop", values_of(recipe, "cap-drop")},
      {"SecurityOpt", values_of(recipe, "security-opt")},
      {"Binds", values_of(recipe, "volume")},
      {"Tmpfs", tmpfs_json(recipe)},
      {"Dns", config.network.resolver.servers},
      {"DnsSearch", config.network.resolver.searches},
      {"DnsOptions", config.network.resolver.options},
      {"ExtraHosts", values_of(recipe, "add-host")},
      {"GroupAdd", values_of(recipe, "group-add")},
      {"CgroupParent", value_of(recipe, "cgroup-parent", "")},
      {"PidMode", value_of(recipe, "pid", "private")},
      {"IpcMode", value_of(recipe, "ipc", "shareable")},
      {"UTSMode", value_of(recipe, "uts", "private")},
      {"UsernsMode", value_of(recipe, "userns", "")},
  };
  put_limits(config.spec.linux_.resources, json);
  return json;
}

std::vector<std::string> volume_paths(const runner::Spec& spec) {
  std::vector<std::string> paths;
  for (const runner::Mount& mount : volumes_in(spec)) paths.push_back(mount.destination);
  return paths;
}

Json mounts_json(const runner::Spec& spec) {
  Json mounts = Json::array();
  for (const runner::Mount& mount : volumes_in(spec)) {
    const bool is_read_only = std::ranges::find(mount.options, "ro") != mount.options.end();
    mounts.push_back({{"Type", "bind"},
                      {"Source", mount.source},
                      {"Destination", mount.destination},
                      {"Mode", ""},
                      {"Options", mount.options},
                      {"RW", !is_read_only},
                      {"Propagation", propagation_of(mount)}});
  }
  return mounts;
}

}  // namespace lay::cli
