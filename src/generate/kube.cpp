#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "base/text.h"
#include "generate/recipe.h"
#include "generate/yaml.h"

namespace lay::cli {

namespace {

/// A DNS label, as names of Kubernetes are.
std::string kube_name(const std::string& text) {
  std::string name;
  for (const char letter : to_lower(text)) {
    const bool is_fit = (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9');
    if (is_fit)
      name += letter;
    else if (!name.empty() && name.back() != '-')
      name += '-';
  }
  name.resize(std::min<std::size_t>(name.size(), 63));
  while (!name.empty() && name.back() == '-') name.pop_back();
  return name.empty() ? "container" : name;
}

/// "$(NAME)" would be replaced in commands and variables.
std::string escaped(const std::string& text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    result += text[i];
    if (text[i] == '$' && i + 1 < text.size() && (text[i + 1] == '(' || text[i + 1] == '$')) result += '$';
  }
  return result;
}

OrderedJson list_of(const std::vector<std::string>& words) {
  OrderedJson list = OrderedJson::array();
  for (const std::string& word : words) list.push_back(escaped(word));
  return list;
}

class Writer {
 public:
  explicit Writer(const Recipe& recipe) : recipe_(recipe), name_(kube_name(recipe.name)) {}

  Generated run(WithService service) {
    container_["name"] = name_;
    container_["image"] = recipe_.image;
    if (recipe_.entrypoint) container_["command"] = list_of(*recipe_.entrypoint);
    if (!recipe_.command.empty()) container_["args"] = list_of(recipe_.command);
    for (const Setting& setting : recipe_.settings)
      if (!add(setting)) result_.left_out.push_back(as_flag(setting));
    result_.text = write_yaml(pod());
    if (service == WithService::yes) add_service();
    return std::move(result_);
  }

 private:
  OrderedJson pod() {
    OrderedJson metadata{{"name", name_}, {"labels", {{"app", name_}}}};
    if (!annotations_.empty()) metadata["annotations"] = annotations_;
    OrderedJson spec;
    spec["containers"] = OrderedJson::array({container_});
    spec.update(spec_);
    spec["restartPolicy"] = "Never";  // lay starts nothing again
    return {{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", metadata}, {"spec", spec}};
  }

  void add_service() {
    if (service_ports_.empty()) {
      result_.left_out.emplace_back("--service, since no port is published");
      return;
    }
    const OrderedJson service{{"apiVersion", "v1"},
                              {"kind", "Service"},
                              {"metadata", {{"name", name_}}},
                              {"spec", {{"selector", {{"app", name_}}}, {"ports", service_ports_}}}};
    result_.text += "---\n" + write_yaml(service);
  }

  bool add(const Setting& setting) {
    return add_process(setting) || add_host_part(setting) || add_storage(setting) || add_rights(setting) ||
           add_limits(setting);
  }

  bool add_process(const Setting& setting) {
    const auto& [flag, value] = setting;
    const auto [key, rest] = cut(value, '=');
    if (flag == "env")
      container_["env"].push_back({{"name", key}, {"value", escaped(rest)}});
    else if (flag == "workdir")
      container_["workingDir"] = value;
    else if (flag == "tty")
      container_["tty"] = true;
    else if (flag == "interactive")
      container_["stdin"] = true;
    else if (flag == "label" || flag == "annotation")
      annotations_[key] = rest;
    else if (flag == "stop-timeout")
      spec_["terminationGracePeriodSeconds"] = OrderedJson::parse(value);
    else
      return false;
    return true;
  }

  bool add_host_part(const Setting& setting) {
    const auto& [flag, value] = setting;
    const bool is_host = value == "host";
    if (flag == "publish") return add_port(value);
    if (flag == "hostname")
      spec_["hostname"] = value;
    else if (flag == "network" && is_host)
      spec_["hostNetwork"] = true;
    else if (flag == "pid" && is_host)
      spec_["hostPID"] = true;
    else if (flag == "ipc" && is_host)
      spec_["hostIPC"] = true;
    else if (flag == "dns")
      spec_["dnsConfig"]["nameservers"].push_back(value);
    else if (flag == "dns-search")
      spec_["dnsConfig"]["searches"].push_back(value);
    else if (flag == "dns-option")
      spec_["dnsConfig"]["options"].push_back(dns_option(value));
    else if (flag == "add-host" && !value.ends_with(":host-gateway"))
      spec_["hostAliases"].push_back(
          {{"ip", cut(value, ':').second}, {"hostnames", OrderedJson::array({cut(value, ':').first})}});
    else
      return false;
    return true;
  }

  static OrderedJson dns_option(const std::string& text) {
    const auto [name, value] = cut(text, ':');
    OrderedJson option{{"name", name}};
    if (!value.empty()) option["value"] = value;
    return option;
  }

  /// "[[IP:]HOST:]PORT/PROTO".
  bool add_port(const std::string& text) {
    const auto [places, protocol] = cut(text, '/');
    std::vector<std::string> parts = split(places, ':');
    const auto inside = OrderedJson::parse(parts.back());
    OrderedJson port{{"containerPort", inside}};
    const std::string host = parts.size() > 1 ? parts[parts.size() - 2] : "";
    const bool is_one = !host.empty() && host.find('-') == std::string::npos;
    if (is_one) port["hostPort"] = OrderedJson::parse(host);
    if (parts.size() > 2) port["hostIP"] = parts[0];
    const std::string upper = protocol == "udp" ? "UDP" : "TCP";
    port["protocol"] = upper;
    container_["ports"].push_back(port);
    const auto outside = is_one ? OrderedJson::parse(host) : inside;
    service_ports_.push_back({{"name", to_lower(upper) + "-" + outside.dump()},
                              {"port", outside},
                              {"targetPort", inside},
                              {"protocol", upper}});
    return is_one;  // a free port of the host cannot be had
  }

  bool add_storage(const Setting& setting) {
    const auto& [flag, value] = setting;
    if (flag == "shm-size") {
      add_memory("/dev/shm", value);
      return true;
    }
    if (flag == "tmpfs") return add_tmpfs(value);
    if (flag != "volume") return false;
    const std::vector<std::string> parts = split(value, ':');
    const std::string options = parts.size() > 2 ? parts[2] : "";
    OrderedJson mount{{"name", next_volume()}, {"mountPath", parts.at(1)}};
    const std::vector<std::string> words = split(options, ',');
    if (std::ranges::find(words, "ro") != words.end()) mount["readOnly"] = true;
    container_["volumeMounts"].push_back(mount);
    spec_["volumes"].push_back({{"name", mount["name"]}, {"hostPath", {{"path", parts[0]}}}});
    return options.empty() || options == "ro";
  }

  std::string next_volume() { return fmt::format("volume-{}", ++volumes_); }

  bool add_tmpfs(const std::string& text) {
    const auto [path, options] = cut(text, ':');
    std::string size;
    bool is_whole = true;
    for (const std::string& option : split(options, ',')) {
      if (option.starts_with("size="))
        size = option.substr(5);
      else if (!option.empty())
        is_whole = false;
    }
    const auto bytes = parse_size(size);
    add_memory(path, bytes ? std::to_string(*bytes) : "");
    return is_whole && (size.empty() || bytes);
  }

  void add_memory(const std::string& path, const std::string& size) {
    OrderedJson folder{{"medium", "Memory"}};
    if (!size.empty()) folder["sizeLimit"] = size;
    const std::string name = next_volume();
    container_["volumeMounts"].push_back({{"name", name}, {"mountPath", path}});
    spec_["volumes"].push_back({{"name", name}, {"emptyDir", folder}});
  }

  bool add_rights(const Setting& setting) {
    const auto& [flag, value] = setting;
    if (flag == "user") return add_user(value);
    const auto group = flag == "group-add" ? parse_number(value) : std::nullopt;
    if (group)
      spec_["securityContext"]["supplementalGroups"].push_back(*group);
    else if (flag == "sysctl")
      spec_["securityContext"]["sysctls"].push_back(
          {{"name", cut(value, '=').first}, {"value", cut(value, '=').second}});
    else if (flag == "cap-add" || flag == "cap-drop")
      rights()["capabilities"][flag.substr(4)].push_back(value);
    else if (flag == "privileged")
      rights()["privileged"] = true;
    else if (flag == "read-only")
      rights()["readOnlyRootFilesystem"] = true;
    else if (flag == "security-opt" && value == "no-new-privileges")
      rights()["allowPrivilegeEscalation"] = false;
    else if (flag == "security-opt" && value == "seccomp=unconfined")
      rights()["seccompProfile"] = {{"type", "Unconfined"}};
    else
      return false;
    return true;
  }

  OrderedJson& rights() { return container_["securityContext"]; }

  /// Kubernetes has numbers only.
  bool add_user(const std::string& text) {
    const auto [user, group] = cut(text, ':');
    const auto uid = parse_number(user);
    const auto gid = parse_number(group);
    if (!uid || (!group.empty() && !gid)) return false;
    rights()["runAsUser"] = *uid;
    if (gid) rights()["runAsGroup"] = *gid;
    return true;
  }

  bool add_limits(const Setting& setting) {
    const auto& [flag, value] = setting;
    if (flag == "memory")
      container_["resources"]["limits"]["memory"] = value;
    else if (flag == "memory-reservation")
      container_["resources"]["requests"]["memory"] = value;
    else if (flag == "cpus")
      container_["resources"]["limits"]["cpu"] = value;
    else
      return false;
    return true;
  }

  const Recipe& recipe_;
  const std::string name_;
  OrderedJson container_;
  OrderedJson spec_ = OrderedJson::object();
  OrderedJson annotations_;
  OrderedJson service_ports_ = OrderedJson::array();
  unsigned volumes_ = 0;
  Generated result_;
};

}  // namespace

Generated generate_kube(const Recipe& recipe, WithService service) {
  return Writer(recipe).run(service);
}

}  // namespace lay::cli
