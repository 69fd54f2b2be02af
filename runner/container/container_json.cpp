#include "container/container_json.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/error.h"
#include "spec/names.h"

namespace lay::runner {

namespace {

std::string mode_text(const NetworkConfig& network) {
  switch (network.mode) {
    case NetworkMode::bridge:
      return network.name.empty() ? "bridge" : network.name;
    case NetworkMode::none:
      return "none";
    case NetworkMode::host:
      return "host";
    case NetworkMode::container:
      return "container:" + network.container;
    case NetworkMode::path:
      return "ns:" + network.path;
  }
  return {};
}

Json to_json(const std::vector<PortMapping>& ports) {
  Json json = Json::array();
  for (const PortMapping& port : ports) {
    json.push_back({{"hostIp", port.host_ip},
                    {"hostPort", port.host_port},
                    {"containerPort", port.container_port},
                    {"protocol", port.protocol == Protocol::tcp ? "tcp" : "udp"}});
    if (port.host_port_last != 0) json.back()["hostPortLast"] = port.host_port_last;
    if (port.on_ipv6_too) json.back()["onIpv6Too"] = true;
  }
  return json;
}

Json to_json(const NetworkConfig& network) {
  Json json{{"mode", mode_text(network)}, {"ports", to_json(network.ports)}};
  if (!network.mac_address.empty()) json["macAddress"] = network.mac_address;
  if (!network.aliases.empty()) json["aliases"] = network.aliases;
  if (!network.address.empty()) json["address"] = network.address;
  if (!network.address6.empty()) json["address6"] = network.address6;
  if (!network.resolver.is_default()) json["resolver"] = to_json(network.resolver);
  for (const Endpoint& endpoint : network.more)
    json["more"].push_back({{"name", endpoint.name},
                            {"aliases", endpoint.aliases},
                            {"address", endpoint.address},
                            {"macAddress", endpoint.mac_address},
                            {"address6", endpoint.address6}});
  return json;
}

std::uint16_t parse_port(const Json& json, const char* key) {
  const std::int64_t port = json_int(json, key);
  if (!std::in_range<std::uint16_t>(port)) throw Error::make(Errc::invalid, "'{}' is {}, no port", key, port);
  return static_cast<std::uint16_t>(port);
}

std::vector<PortMapping> parse_ports(const Json& json) {
  std::vector<PortMapping> ports;
  for (const Json& port : json_array(json, "ports"))
    ports.push_back({.host_ip = json_string(port, "hostIp"),
                     .host_port = parse_port(port, "hostPort"),
                     .container_port = parse_port(port, "containerPort"),
                     .protocol = json_string(port, "protocol") == "udp" ? Protocol::udp : Protocol::tcp,
                     .host_port_last = json_find(port, "hostPortLast") == nullptr
                                           ? std::uint16_t{}
                                           : parse_port(port, "hostPortLast"),
                     .on_ipv6_too = json_find(port, "onIpv6Too") != nullptr});
  return ports;
}

NetworkConfig parse_network_config(const Json* json) {
  if (json == nullptr) throw Error(Errc::invalid, "'network' is missing");
  NetworkConfig network = parse_network(json_string(*json, "mode"));
  network.ports = parse_ports(*json);
  network.mac_address = json_string_or(*json, "macAddress", {});
  network.address = json_string_or(*json, "address", {});
  network.address6 = json_string_or(*json, "address6", {});
  if (json_find(*json, "aliases") != nullptr) network.aliases = json_strings(*json, "aliases");
  network.resolver = parse_resolver(json_find(*json, "resolver"));
  if (json_find(*json, "more") != nullptr)
    for (const Json& endpoint : json_array(*json, "more"))
      network.more.push_back({.name = json_string(endpoint, "name"),
                              .aliases = json_strings(endpoint, "aliases"),
                              .address = json_string(endpoint, "address"),
                              .mac_address = json_string(endpoint, "macAddress"),
                              .address6 = json_string_or(endpoint, "address6", {})});
  return network;
}

std::map<std::string, std::string> parse_words(const Json& object, const char* key) {
  std::map<std::string, std::string> words;
  const Json* map = json_find(object, key);
  if (map == nullptr) return words;
  for (const auto& [name, value] : map->items()) words[name] = json_string(*map, name.c_str());
  return words;
}

Json to_json(const std::map<NamespaceType, std::string>& joined) {
  Json json = Json::object();
  for (const auto& [type, id] : joined) json[name_of(type)] = id;
  return json;
}

std::map<NamespaceType, std::string> parse_joined(const Json& object) {
  std::map<NamespaceType, std::string> joined;
  for (const auto& [name, id] : parse_words(object, "joined")) {
    const auto type = namespace_type(name);
    if (!type) throw Error::make(Errc::invalid, "'{}' is not a type of namespace", name);
    joined[*type] = id;
  }
  return joined;
}

Time parse_required_time(const Json& json, const char* key) {
  const std::string text = json_string(json, key);
  const auto time = parse_time(text);
  if (!time) throw Error::make(Errc::invalid, "'{}' is '{}', no time", key, text);
  return *time;
}

std::optional<Time> parse_optional_time(const Json& json, const char* key) {
  if (json_find(json, key) == nullptr) return std::nullopt;
  return parse_required_time(json, key);
}

Status parse_status(const std::string& text) {
  for (const Status status : {Status::created, Status::running, Status::exited})
    if (text == to_string(status)) return status;
  throw Error::make(Errc::invalid, "'{}' is no status", text);
}

/// Non-negative numbers that other lays wrote, checked all the same.
template <class T>
T parse_unsigned(const Json& json, const char* key) {
  const std::int64_t number = json_int_or(json, key, 0);
  if (!std::in_range<T>(number) || number < 0) throw Error::make(Errc::invalid, "'{}' is {}", key, number);
  return static_cast<T>(number);
}

/// Missing in containers of an older lay.
LogConfig parse_log_config(const Json* json) {
  if (json == nullptr) return {};
  return {.is_kept = json_bool_or(*json, "isKept", true),
          .max_bytes = parse_unsigned<std::uint64_t>(*json, "maxBytes")};
}

/// As format_exact_time() wrote it, or an older lay without nanoseconds.
Time parse_exact_time(const Json& json, const char* key) {
  const std::string text = json_string(json, key);
  const Time time = parse_required_time(json, key);
  const std::size_t point = text.find('.');
  if (point == std::string::npos) return time;
  std::string digits = text.substr(point + 1, 9);
  digits.resize(std::min(digits.find_first_not_of("0123456789"), digits.size()));
  digits.resize(9, '0');
  return time + std::chrono::duration_cast<Time::duration>(
                    std::chrono::nanoseconds(parse_number(digits).value_or(0)));
}

Json to_json(const RuntimeChoice& runtime) {
  return {{"program", runtime.program}, {"flags", runtime.flags}};
}

RuntimeChoice parse_runtime(const Json* json) {
  if (json == nullptr) return {};
  return {.program = json_string(*json, "program"), .flags = json_strings(*json, "flags")};
}

}  // namespace

std::string_view to_string(Status status) {
  switch (status) {
    case Status::created:
      return "created";
    case Status::running:
      return "running";
    case Status::exited:
      return "exited";
  }
  return {};
}

Json to_json(const ContainerConfig& config) {
  Json json{{"id", config.id},
            {"name", config.name},
            {"created", format_exact_time(config.created)},  // of two made in one second, one is the latest
            {"lowers", config.lowers},
            {"network", to_json(config.network)},
            {"joined", to_json(config.joined)},
            {"sharesIpc", config.shares_ipc},
            {"openStdin", config.open_stdin},
            {"autoRemove", config.auto_remove},
            {"log", {{"isKept", config.log.is_kept}, {"maxBytes", config.log.max_bytes}}},
            {"stopSignal", config.stop_signal},
            {"stopTimeout", config.stop_timeout},
            {"labels", config.labels},
            {"notes", config.notes}};
  if (config.timeout.count() > 0) json["timeout"] = config.timeout.count();
  if (!config.pid_file.empty()) json["pidFile"] = config.pid_file;
  if (!config.runtime.is_own()) json["runtime"] = to_json(config.runtime);
  return json;
}

ContainerConfig parse_container_config(const Json& json) {
  return {.id = json_string(json, "id"),
          .name = json_string(json, "name"),
          .created = parse_exact_time(json, "created"),
          .lowers = json_strings(json, "lowers"),
          .network = parse_network_config(json_find(json, "network")),
          .joined = parse_joined(json),
          .shares_ipc = json_bool_or(json, "sharesIpc", true),
          .open_stdin = json_bool_or(json, "openStdin", false),
          .auto_remove = json_bool_or(json, "autoRemove", false),
          .log = parse_log_config(json_find(json, "log")),
          .runtime = parse_runtime(json_find(json, "runtime")),
          .stop_signal = json_string_or(json, "stopSignal", {}),
          .stop_timeout = parse_unsigned<unsigned>(json, "stopTimeout"),
          .timeout = std::chrono::seconds(parse_unsigned<std::uint32_t>(json, "timeout")),
          .pid_file = json_string_or(json, "pidFile", {}),
          .labels = parse_words(json, "labels"),
          .notes = parse_words(json, "notes")};
}

Json to_json(const ContainerState& state) {
  Json json{{"status", to_string(state.status)},
            {"pid", state.pid},
            {"pidStartTime", state.pid_start_time},
            {"bootId", state.boot_id},
            {"exitCode", state.exit_code},
            {"oomKilled", state.oom_killed},
            {"address", state.address},
            {"gateway", state.gateway},
            {"macAddress", state.mac_address},
            {"error", state.error}};
  if (!state.delegated.empty()) json["delegated"] = state.delegated;
  if (!state.ports.empty()) json["ports"] = to_json(state.ports);
  if (state.started) json["started"] = format_time(*state.started);
  if (state.finished) json["finished"] = format_time(*state.finished);
  return json;
}

ContainerState parse_container_state(const Json& json) {
  return {.status = parse_status(json_string(json, "status")),
          .pid = parse_unsigned<pid_t>(json, "pid"),
          .pid_start_time = parse_unsigned<std::uint64_t>(json, "pidStartTime"),
          .boot_id = json_string_or(json, "bootId", {}),
          .started = parse_optional_time(json, "started"),
          .finished = parse_optional_time(json, "finished"),
          .exit_code = static_cast<int>(json_int_or(json, "exitCode", 0)),
          .oom_killed = json_bool_or(json, "oomKilled", false),
          .address = json_string_or(json, "address", {}),
          .gateway = json_string_or(json, "gateway", {}),
          .mac_address = json_string_or(json, "macAddress", {}),
          .ports = json_find(json, "ports") == nullptr ? std::vector<PortMapping>{} : parse_ports(json),
          .error = json_string_or(json, "error", {}),
          .delegated = json_string_or(json, "delegated", {})};
}

}  // namespace lay::runner
