#include <fmt/format.h>

#include <map>
#include <string_view>

#include "base/text.h"
#include "generate/recipe.h"
#include "generate/yaml.h"

namespace lay::cli {

namespace {

/// compose replaces "$NAME" in every value.
std::string escaped(const std::string& text) {
  std::string result;
  for (const char letter : text) (result += letter) += letter == '$' ? "$" : "";
  return result;
}

OrderedJson list_of(const std::vector<std::string>& words) {
  OrderedJson list = OrderedJson::array();
  for (const std::string& word : words) list.push_back(escaped(word));
  return list;
}

enum class Form { text, number, flag, list, map };

struct Key {
  const char* name;
  Form form;
};

/// The flags whose value stands in compose as it is: the Compose Specification, "Services".
const std::map<std::string_view, Key>& keys() {
  static const std::map<std::string_view, Key> kKeys{
      {"env", {"environment", Form::map}},
      {"label", {"labels", Form::map}},
      {"annotation", {"annotations", Form::map}},
      {"sysctl", {"sysctls", Form::map}},
      {"user", {"user", Form::text}},
      {"group-add", {"group_add", Form::list}},
      {"workdir", {"working_dir", Form::text}},
      {"hostname", {"hostname", Form::text}},
      {"tty", {"tty", Form::flag}},
      {"interactive", {"stdin_open", Form::flag}},
      {"init", {"init", Form::flag}},
      {"runtime", {"runtime", Form::text}},
      {"publish", {"ports", Form::list}},
      {"dns", {"dns", Form::list}},
      {"dns-search", {"dns_search", Form::list}},
      {"dns-option", {"dns_opt", Form::list}},
      {"add-host", {"extra_hosts", Form::list}},
      {"shm-size", {"shm_size", Form::text}},
      {"privileged", {"privileged", Form::flag}},
      {"read-only", {"read_only", Form::flag}},
      {"cap-add", {"cap_add", Form::list}},
      {"cap-drop", {"cap_drop", Form::list}},
      {"device", {"devices", Form::list}},
      {"pid", {"pid", Form::text}},
      {"ipc", {"ipc", Form::text}},
      {"memory", {"mem_limit", Form::text}},
      {"memory-swap", {"memswap_limit", Form::text}},
      {"memory-reservation", {"mem_reservation", Form::text}},
      {"memory-swappiness", {"mem_swappiness", Form::number}},
      {"oom-kill-disable", {"oom_kill_disable", Form::flag}},
      {"oom-score-adj", {"oom_score_adj", Form::number}},
      {"cpus", {"cpus", Form::text}},
      {"cpu-period", {"cpu_period", Form::text}},
      {"cpu-quota", {"cpu_quota", Form::text}},
      {"device-cgroup-rule", {"device_cgroup_rules", Form::list}},
      {"cpu-shares", {"cpu_shares", Form::number}},
      {"cpuset-cpus", {"cpuset", Form::text}},
      {"pids-limit", {"pids_limit", Form::number}},
      {"cgroup-parent", {"cgroup_parent", Form::text}},
      {"stop-signal", {"stop_signal", Form::text}},
  };
  return kKeys;
}

class Writer {
 public:
  explicit Writer(const Recipe& recipe) : recipe_(recipe) {}

  Generated run() {
    service_["image"] = escaped(recipe_.image);
    if (recipe_.entrypoint) service_["entrypoint"] = list_of(*recipe_.entrypoint);
    if (!recipe_.command.empty()) service_["command"] = list_of(recipe_.command);
    for (const Setting& setting : recipe_.settings)
      if (!add(setting)) result_.left_out.push_back(as_flag(setting));
    OrderedJson document = OrderedJson::object();
    add_networks(document);
    OrderedJson whole = OrderedJson::object();
    whole["services"][recipe_.name] = service_;
    whole.update(document);
    result_.text = write_yaml(whole);
    return std::move(result_);
  }

 private:
  bool add(const Setting& setting) {
    if (setting.value.starts_with("container:") && setting.flag != "env" && setting.flag != "label")
      return false;
    if (const auto found = keys().find(setting.flag); found != keys().end())
      return put(found->second.name, found->second.form, setting.value);
    const auto [key, value] = cut(setting.value, '=');
    if (setting.flag == "volume") return add_volume(setting.value);
    if (setting.flag == "tmpfs") return add_tmpfs(setting.value);
    if (setting.flag == "network") return add_network(setting.value);
    if (setting.flag == "ulimit") return add_limit(key, value);
    if (setting.flag == "security-opt") return add_security(key, setting.value);
    if (setting.flag == "stop-timeout") return put("stop_grace_period", Form::text, setting.value + "s");
    if (setting.flag == "userns" && setting.value == "host") return put("userns_mode", Form::text, "host");
    if (setting.flag == "log-driver") {
      service_["logging"]["driver"] = "none";
      return true;
    }
    if (setting.flag == "log-opt") {
      service_["logging"]["options"][key] = value;
      return true;
    }
    if (setting.flag != "blkio-weight") return false;
    service_["blkio_config"]["weight"] = OrderedJson::parse(setting.value);
    return true;
  }

  bool put(const char* name, Form form, const std::string& value) {
    switch (form) {
      case Form::text:
        service_[name] = escaped(value);
        break;
      case Form::number:
        service_[name] = OrderedJson::parse(value);
        break;
      case Form::flag:
        service_[name] = true;
        break;
      case Form::list:
        service_[name].push_back(escaped(value));
        break;
      case Form::map: {
        const auto [key, rest] = cut(value, '=');
        service_[name][key] = escaped(rest);
        break;
      }
    }
    return true;
  }

  bool add_volume(const std::string& text) {
    const std::vector<std::string> parts = split(text, ':');
    OrderedJson volume{{"type", "bind"}, {"source", escaped(parts[0])}, {"target", escaped(parts.at(1))}};
    for (const std::string& option : parts.size() > 2 ? split(parts[2], ',') : std::vector<std::string>{}) {
      if (option != "ro") return false;
      volume["read_only"] = true;
    }
    service_["volumes"].push_back(volume);
    return true;
  }

  /// Docker's begins empty: that it has what the image has there cannot be said.
  bool add_tmpfs(const std::string& text) {
    const auto [path, words] = cut(text, ':');
    std::vector<std::string> options = split(words, ',');
    std::erase(options, "");
    const bool is_whole = std::erase(options, "tmpcopyup") == 0;
    return put("tmpfs", Form::list, options.empty() ? path : path + ":" + join(options, ",")) && is_whole;
  }

  /// Those of users stand in add_networks().
  bool add_network(const std::string& text) {
    if (!recipe_.networks.empty()) return cut(text, ':').first != "bridge";
    if (text == "none" || text == "host") return put("network_mode", Form::text, text);
    const auto [name, options] = cut(text, ':');
    if (name != "bridge" || !options.starts_with("mac=") || options.find(',') != std::string::npos)
      return false;
    return put("mac_address", Form::text, options.substr(4));
  }

  bool add_limit(const std::string& name, const std::string& value) {
    const auto [soft, hard] = cut(value, ':');
    service_["ulimits"][name] = {{"soft", OrderedJson::parse(soft)}, {"hard", OrderedJson::parse(hard)}};
    return true;
  }

  /// docker knows neither mask nor unmask.
  bool add_security(const std::string& key, const std::string& value) {
    if (key == "mask" || key == "unmask") return false;
    return put("security_opt", Form::list,
               value == "no-new-privileges" ? value + ":true" : "seccomp:unconfined");
  }

  void add_networks(OrderedJson& document) {
    for (const runner::Endpoint& endpoint : recipe_.networks) {
      OrderedJson member = OrderedJson::object();
      if (!endpoint.aliases.empty()) member["aliases"] = list_of(endpoint.aliases);
      if (!endpoint.address.empty()) member["ipv4_address"] = endpoint.address;
      if (!endpoint.address6.empty()) member["ipv6_address"] = endpoint.address6;
      service_["networks"][endpoint.name] = member;
      document["networks"][endpoint.name] = {{"external", true}};
      if (!endpoint.mac_address.empty())
        result_.left_out.push_back(fmt::format("--network={}:mac={}", endpoint.name, endpoint.mac_address));
    }
  }

  const Recipe& recipe_;
  OrderedJson service_;
  Generated result_;
};

}  // namespace

Generated generate_compose(const Recipe& recipe) {
  return Writer(recipe).run();
}

}  // namespace lay::cli
