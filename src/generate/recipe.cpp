#include "generate/recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/text.h"
#include "flags/mount_flags.h"

namespace lay::cli {

namespace {

/// "VALUE" or "VALUE:OPTIONS".
std::string with_options(const std::string& value, const std::string& options) {
  return options.empty() ? value : fmt::format("{}:{}", value, options);
}

using runner::NamespaceType;

constexpr std::int64_t kDefaultPids = 2048;
constexpr std::uint64_t kUsualPeriod = 100000;
constexpr const char* kLandlock = "dev.lay.landlock";

template <class List, class Value>
bool contains(const List& list, const Value& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

/// Reads the flags back out of what they were made into.
class Reader {
 public:
  Reader(const runner::ContainerConfig& config, const layerstore::RunDefaults& image, Recipe& recipe)
      : config_(config), spec_(config.spec), usual_(runner::default_spec()), image_(image), recipe_(recipe) {}

  void run() {
    read_command();
    read_process();
    read_network();
    read_mounts();
    read_rights();
    read_namespaces();
    read_resources();
    read_life();
  }

 private:
  void put(std::string flag, std::string value = {}) {
    recipe_.settings.push_back({std::move(flag), std::move(value)});
  }

  void put_text(const char* flag, const std::string& value) {
    if (!value.empty()) put(flag, value);
  }

  template <class Number>
  void put_number(const char* flag, const std::optional<Number>& value) {
    if (value) put(flag, fmt::format("{}", *value));
  }

  void read_command() {
    const std::vector<std::string>& words = spec_.process.args;
    const std::vector<std::string>& entrypoint = image_.entrypoint;
    if (words.size() >= entrypoint.size() &&
        std::equal(entrypoint.begin(), entrypoint.end(), words.begin())) {
      const auto rest = words.begin() + static_cast<std::ptrdiff_t>(entrypoint.size());
      if (!std::equal(rest, words.end(), image_.cmd.begin(), image_.cmd.end()))
        recipe_.command.assign(rest, words.end());
      if (!recipe_.command.empty() || rest != words.end() || image_.cmd.empty()) return;
    }
    recipe_.entrypoint = words;  // and nothing of the image's command
    recipe_.command.clear();
  }

  void read_process() {
    for (const std::string& entry : spec_.process.env) {
      const bool is_own = entry == "HOSTNAME=" + spec_.hostname || entry == "container=lay" ||
                          (spec_.process.terminal && entry == "TERM=xterm");
      if (!is_own && !contains(image_.env, entry)) put("env", entry);
    }
    read_unset();
    if (spec_.process.user.umask) put("umask", fmt::format("{:04o}", *spec_.process.user.umask));
    if (spec_.process.user.username != image_.user) put_text("user", spec_.process.user.username);
    for (const std::string& group : spec_.process.user.group_names) put("group-add", group);
    const std::string usual = image_.working_dir.empty() ? "/" : image_.working_dir;
    if (spec_.process.cwd != usual) put("workdir", spec_.process.cwd);
    if (spec_.process.terminal) put("tty");
    if (config_.open_stdin) put("interactive");
    if (spec_.process.has_init) put("init");
    for (const auto& [key, value] : config_.labels) {
      const auto known = image_.labels.find(key);
      if (known == image_.labels.end() || known->second != value)
        put("label", fmt::format("{}={}", key, value));
    }
    for (const auto& [key, value] : spec_.annotations)
      if (!key.starts_with("dev.lay.")) put("annotation", fmt::format("{}={}", key, value));
  }

  /// Variables of the image that it does not have.
  void read_unset() {
    for (const std::string& entry : image_.env) {
      const std::string name = entry.substr(0, entry.find('=') + 1);
      const auto is_same = [&](const std::string& other) { return other.starts_with(name); };
      if (name.size() > 1 && std::ranges::none_of(spec_.process.env, is_same))
        put("unsetenv", name.substr(0, name.size() - 1));
    }
  }

  void read_network() {
    const runner::NetworkConfig& network = config_.network;
    switch (network.mode) {
      case runner::NetworkMode::none:
        put("network", "none");
        break;
      case runner::NetworkMode::host:
        put("network", "host");
        break;
      case runner::NetworkMode::container:
        put("network", "container:" + network.container);
        break;
      case runner::NetworkMode::path:
        put("network", "ns:" + network.path);
        break;
      case runner::NetworkMode::bridge:
        read_endpoints();
        break;
    }
    const bool is_usual = network.mode == runner::NetworkMode::host ||
                          spec_.hostname == config_.id.substr(0, 12) ||
                          !runner::has_own_namespace(spec_, NamespaceType::uts);
    if (!is_usual && !config_.joined.contains(NamespaceType::uts)) put_text("hostname", spec_.hostname);
    for (const runner::PortMapping& port : network.ports) put("publish", published(port));
    const runner::ResolverConfig& resolver = network.resolver;
    for (const std::string& server : resolver.servers) put("dns", server);
    for (const std::string& domain : resolver.searches) put("dns-search", domain);
    for (const std::string& option : resolver.options) put("dns-option", option);
    for (const runner::HostEntry& host : resolver.hosts)
      put("add-host", fmt::format("{}:{}", host.name, host.address));
    if (resolver.hosts_file == runner::EtcFile::images_own) put("no-hosts");
  }

  void read_endpoints() {
    const std::vector<runner::Endpoint> endpoints = runner::endpoints_of(config_.network);
    for (const runner::Endpoint& endpoint : endpoints) {
      if (!endpoint.name.empty()) recipe_.networks.push_back(endpoint);
      std::vector<std::string> options;
      for (const std::string& alias : endpoint.aliases) options.push_back("alias=" + alias);
      if (!endpoint.address.empty()) options.push_back("ip=" + endpoint.address);
      if (!endpoint.address6.empty()) options.push_back("ip6=" + endpoint.address6);
      if (!endpoint.mac_address.empty()) options.push_back("mac=" + endpoint.mac_address);
      const bool is_usual = endpoints.size() == 1 && endpoint.name.empty();
      if (is_usual && options.empty()) continue;
      put("network", with_options(shown_name(endpoint), join(options, ",")));
    }
  }

  /// As -p has it.
  static std::string published(const runner::PortMapping& port) {
    std::string text;
    const bool has_ip = !port.host_ip.empty() && port.host_ip != "0.0.0.0";
    if (has_ip) text = port.host_ip + ":";
    if (port.host_port != 0) {
      text += std::to_string(port.host_port);
      if (port.host_port_last != 0) text += fmt::format("-{}", port.host_port_last);
    }
    if (port.host_port != 0 || has_ip) text += ":";
    return text + runner::port_name(port.container_port, port.protocol);
  }

  void read_mounts() {
    for (const runner::Mount& mount : spec_.mounts) {
      const auto usual = std::find_if(usual_.mounts.begin(), usual_.mounts.end(), [&](const auto& other) {
        return other.destination == mount.destination;
      });
      if (usual != usual_.mounts.end()) {
        if (mount.destination == "/dev/shm") read_shm_size(mount, *usual);
        continue;
      }
      auto [flag, value] = mount_flag_of(mount);
      put(std::move(flag), std::move(value));
    }
  }

  void read_shm_size(const runner::Mount& mount, const runner::Mount& usual) {
    for (const std::string& option : mount.options)
      if (option.starts_with("size=") && !contains(usual.options, option)) put("shm-size", option.substr(5));
  }

  bool is_privileged() const {
    const auto& rules = spec_.linux_.resources.devices;
    return rules.size() == 1 && rules.front().allow && spec_.linux_.masked_paths.empty();
  }

  void read_rights() {
    if (is_privileged()) {
      put("privileged");
    } else {
      read_capabilities();
      read_paths();
      read_devices();
      read_device_rules();
      if (spec_.linux_.seccomp == runner::SeccompProfile::unconfined)
        put("security-opt", "seccomp=unconfined");
    }
    if (spec_.linux_.seccomp == runner::SeccompProfile::listed) put("seccomp-profile", "of a file");
    if (spec_.process.no_new_privileges) put("security-opt", "no-new-privileges");
    if (spec_.root.readonly) put("read-only");
    if (const auto rules = spec_.annotations.find(kLandlock); rules != spec_.annotations.end())
      put("landlock", rules->second);
    for (const auto& [key, value] : spec_.linux_.sysctl) {
      const auto usual = usual_.linux_.sysctl.find(key);
      if (usual == usual_.linux_.sysctl.end() || usual->second != value)
        put("sysctl", fmt::format("{}={}", key, value));
    }
    for (const runner::Rlimit& limit : spec_.process.rlimits) read_limit(limit);
  }

  void read_capabilities() {
    const std::vector<std::string>& usual = usual_.process.capabilities.bounding;
    const std::vector<std::string>& own = spec_.process.capabilities.bounding;
    if (own.empty() && !usual.empty()) return put("cap-drop", "ALL");
    for (const std::string& name : own)
      if (!contains(usual, name)) put("cap-add", name.substr(4));
    for (const std::string& name : usual)
      if (!contains(own, name)) put("cap-drop", name.substr(4));
  }

  void read_paths() {
    std::set<std::string> shown;
    std::set<std::string> hidden;
    const auto& masked = spec_.linux_.masked_paths;
    for (const std::string& path : usual_.linux_.masked_paths)
      if (!contains(masked, path)) shown.insert(path);
    for (const std::string& path : usual_.linux_.readonly_paths)
      if (!contains(spec_.linux_.readonly_paths, path)) shown.insert(path);
    for (const std::string& path : masked)
      if (!contains(usual_.linux_.masked_paths, path)) hidden.insert(path);
    if (!shown.empty()) put("security-opt", "unmask=" + join({shown.begin(), shown.end()}, ":"));
    if (!hidden.empty()) put("security-opt", "mask=" + join({hidden.begin(), hidden.end()}, ":"));
  }

  /// The host's name for it is not known any more: most often it is the same.
  void read_devices() {
    for (const runner::Device& device : spec_.linux_.devices) {
      if (std::any_of(usual_.linux_.devices.begin(), usual_.linux_.devices.end(),
                      [&](const auto& other) { return other.path == device.path; }))
        continue;
      std::string access = "rwm";
      for (const runner::DeviceRule& rule : spec_.linux_.resources.devices)
        if (rule.allow && rule.type == device.type && rule.major == device.major &&
            rule.minor == device.minor)
          access = rule.access;
      put("device", fmt::format("{0}:{0}:{1}", device.path, access));
    }
  }

  /// Rules that belong to no device.
  void read_device_rules() {
    const auto number = [](const std::optional<std::int64_t>& value) {
      return value ? std::to_string(*value) : std::string("*");
    };
    for (const runner::DeviceRule& rule : spec_.linux_.resources.devices) {
      const auto is_for = [&](const runner::Device& device) {
        return device.type == rule.type && device.major == rule.major && device.minor == rule.minor;
      };
      if (rule.allow && !contains(usual_.linux_.resources.devices, rule) &&
          std::ranges::none_of(spec_.linux_.devices, is_for))
        put("device-cgroup-rule",
            fmt::format("{} {}:{} {}", rule.type, number(rule.major), number(rule.minor), rule.access));
    }
  }

  void read_limit(const runner::Rlimit& limit) {
    if (limit.type == "RLIMIT_CORE" && limit.soft == 0 && limit.hard == 0) return;
    const auto number = [](std::uint64_t value) {
      return value == UINT64_MAX ? std::string("-1") : std::to_string(value);
    };
    put("ulimit",
        fmt::format("{}={}:{}", to_lower(limit.type.substr(7)), number(limit.soft), number(limit.hard)));
  }

  void read_namespaces() {
    const std::pair<const char*, NamespaceType> kinds[] = {
        {"pid", NamespaceType::pid}, {"ipc", NamespaceType::ipc}, {"uts", NamespaceType::uts}};
    for (const auto& [flag, type] : kinds) {
      if (const auto other = config_.joined.find(type); other != config_.joined.end())
        put(flag, "container:" + other->second);
      else if (!runner::has_namespace(spec_, type))
        put(flag, "host");
      else
        for (const runner::Namespace& entry : spec_.linux_.namespaces)
          if (entry.type == type && !entry.path.empty()) put(flag, "ns:" + entry.path);
    }
    if (!config_.shares_ipc && runner::has_own_namespace(spec_, NamespaceType::ipc)) put("ipc", "private");
    if (!runner::has_namespace(spec_, NamespaceType::cgroup)) put("cgroupns", "host");
    if (spec_.linux_.auto_ids) put("userns", fmt::format("auto:size={}", *spec_.linux_.auto_ids));
    const auto ids = [](const runner::IdMapping& map) {
      return fmt::format("{}:{}:{}", map.container_id, map.host_id, map.size);
    };
    for (const runner::IdMapping& map : spec_.linux_.uid_mappings) put("uidmap", ids(map));
    for (const runner::IdMapping& map : spec_.linux_.gid_mappings) put("gidmap", ids(map));
    for (const auto& [clock, offset] : spec_.linux_.time_offsets)
      put("time", fmt::format("{}={}", clock, offset.secs));
  }

  void read_resources() {
    const runner::Resources& limits = spec_.linux_.resources;
    put_number("memory", limits.memory_limit);
    put_number("memory-swap", limits.memory_swap);
    put_number("memory-reservation", limits.memory_reservation);
    put_number("memory-swappiness", limits.memory_swappiness);
    if (limits.disable_oom_killer.value_or(false)) put("oom-kill-disable");
    read_processor_time(limits);
    put_number("cpu-shares", limits.cpu_shares);
    put_text("cpuset-cpus", limits.cpus);
    put_text("cpuset-mems", limits.mems);
    if (limits.pids_limit != kDefaultPids) put_number("pids-limit", limits.pids_limit);
    put_number("blkio-weight", limits.block_io.weight);
    put_rates("blkio-weight-device", limits.block_io.weights);
    put_rates("device-read-bps", limits.block_io.read_bytes);
    put_rates("device-write-bps", limits.block_io.write_bytes);
    put_rates("device-read-iops", limits.block_io.read_operations);
    put_rates("device-write-iops", limits.block_io.write_operations);
    for (const runner::HugepageLimit& limit : limits.hugepages)
      put("hugepages", fmt::format("{}={}", limit.page_size, limit.limit));
    for (const auto& [file, value] : limits.unified) put("cgroup-conf", fmt::format("{}={}", file, value));
    if (spec_.process.oom_score_adj) put("oom-score-adj", std::to_string(*spec_.process.oom_score_adj));
    if (const std::string& path = spec_.linux_.cgroups_path; !path.empty())
      put("cgroup-parent", path.substr(0, path.rfind('/')));
  }

  void read_processor_time(const runner::Resources& limits) {
    const std::uint64_t period = limits.cpu_period.value_or(kUsualPeriod);
    const std::int64_t quota = limits.cpu_quota.value_or(-1);
    if (period != kUsualPeriod) put("cpu-period", std::to_string(period));
    if (quota > 0 && period != kUsualPeriod)
      put("cpu-quota", std::to_string(quota));
    else if (quota > 0)
      put("cpus", fmt::format("{}", static_cast<double>(quota) / static_cast<double>(period)));
  }

  void put_rates(const char* flag, const std::vector<runner::BlockDeviceValue>& values) {
    for (const runner::BlockDeviceValue& value : values)
      put(flag, fmt::format("{}:{} {}", value.major, value.minor, value.value));
  }

  void read_life() {
    if (config_.stop_signal != image_.stop_signal) put_text("stop-signal", config_.stop_signal);
    if (config_.stop_timeout != runner::kStopTimeout)
      put("stop-timeout", std::to_string(config_.stop_timeout));
    if (config_.timeout.count() > 0) put("timeout", std::to_string(config_.timeout.count()));
    put_text("pidfile", config_.pid_file);
    if (!config_.runtime.is_own()) put("runtime", std::filesystem::path(config_.runtime.program).filename());
    for (const std::string& flag : config_.runtime.flags) put("runtime-flag", flag);
    if (!config_.log.is_kept)
      put("log-driver", "none");
    else if (config_.log.max_bytes != runner::LogConfig{}.max_bytes)
      put("log-opt", fmt::format("max-size={}", config_.log.max_bytes));
  }

  const runner::ContainerConfig& config_;
  const runner::Spec& spec_;
  const runner::Spec usual_;
  const layerstore::RunDefaults& image_;
  Recipe& recipe_;
};

}  // namespace

Recipe recipe_of(const runner::ContainerConfig& config, const std::string& image_name,
                 const layerstore::RunDefaults& image) {
  Recipe recipe{.name = config.name, .image = image_name};
  Reader(config, image, recipe).run();
  return recipe;
}

Recipe recipe_of_image(const std::string& name, const layerstore::RunDefaults& image) {
  const std::string path = name.substr(0, name.rfind('@'));
  const std::string last = path.substr(path.rfind('/') + 1);
  Recipe recipe{.name = last.substr(0, last.find(':')), .image = name};
  for (const std::string& port : image.exposed_ports)
    recipe.settings.push_back({"publish", fmt::format("{}:{}", port.substr(0, port.find('/')), port)});
  return recipe;
}

std::string as_flag(const Setting& setting) {
  return "--" + setting.flag + (setting.value.empty() ? "" : "=" + setting.value);
}

std::pair<std::string, std::string> cut(std::string_view text, char separator) {
  const std::size_t end = text.find(separator);
  if (end == std::string_view::npos) return {std::string(text), {}};
  return {std::string(text.substr(0, end)), std::string(text.substr(end + 1))};
}

}  // namespace lay::cli
