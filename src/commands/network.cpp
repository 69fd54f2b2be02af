#include <fmt/format.h>

#include <array>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/text.h"
#include "command.h"
#include "flags/list_flags.h"
#include "flags/options.h"
#include "lists/filters.h"
#include "output/listing.h"
#include "output/messages.h"
#include "output/template.h"
#include "prompt.h"
#include "runner/network_membership.h"
#include "runner/network_store.h"
#include "runner/network_view.h"

namespace lay::cli {

namespace {

using Verb = int (*)(const Context& context, const Arguments& arguments);

constexpr std::size_t kShortId = 12;

unsigned parse_mtu(const std::string& text) {
  constexpr std::uint64_t kLeast = 68;  // RFC 791
  constexpr std::uint64_t kMost = 65535;
  const std::optional<std::uint64_t> mtu = parse_number(text);
  if (mtu && *mtu >= kLeast && *mtu <= kMost) return static_cast<unsigned>(*mtu);
  throw Error::make(Errc::invalid, "mtu '{}' is no number from {} to {}", printable(text), kLeast, kMost);
}

/// The value of "KEY=true" and "KEY=false", as docker and podman take them; empty when it is another key.
std::optional<bool> switch_of(const std::string& option, std::string_view key) {
  if (!option.starts_with(key) || option.substr(key.size(), 1) != "=") return std::nullopt;
  const std::string value = option.substr(key.size() + 1);
  if (value == "true" || value == "1") return true;
  if (value == "false" || value == "0") return false;
  throw Error::make(Errc::invalid, "network option '{}' is neither true nor false", printable(option))
      .with_hint(fmt::format("-o {0}=true or -o {0}=false", key));
}

/// What keeps containers from others. Networks are apart in any case, as podman's isolate=true asks.
bool take_barrier(runner::NetworkDefinition& network, const std::string& option) {
  for (const char* key : {"icc", "com.docker.network.bridge.enable_icc"})
    if (const auto icc = switch_of(option, key)) {
      network.neighbours = *icc ? runner::Neighbours::in_reach : runner::Neighbours::apart;
      return true;
    }
  if (const auto metadata = switch_of(option, "metadata")) {
    network.metadata = *metadata ? runner::Metadata::in_reach : runner::Metadata::blocked;
    return true;
  }
  return option == "isolate=strict" || switch_of(option, "isolate").value_or(false);
}

void take_options(runner::NetworkDefinition& network, const std::vector<std::string>& options) {
  for (const std::string& option : options) {
    if (take_barrier(network, option)) continue;
    if (option.starts_with("mtu="))
      network.mtu = parse_mtu(option.substr(4));
    else if (option.starts_with("parent="))
      network.parent = option.substr(7);
    else if (option != "mode=bridge" && option != "macvlan_mode=bridge")
      throw Error::make(Errc::unsupported, "network option '{}' is not known", printable(option))
          .with_hint(
              "-o mtu=1400, icc=false, metadata=false; with --driver macvlan -o parent=eth0, and "
              "mode=bridge");
  }
}

runner::NetworkDriver parse_driver(const std::string& text) {
  for (const runner::NetworkDriver driver : {runner::NetworkDriver::bridge, runner::NetworkDriver::macvlan})
    if (text == to_string(driver)) return driver;
  throw Error::make(Errc::unsupported, "driver '{}' is not known", printable(text))
      .with_hint("--driver bridge or macvlan");
}

/// One of IPv4, one of IPv6.
void take_by_family(const std::vector<std::string>& texts, const char* flag, std::string& ipv4,
                    std::string& ipv6) {
  for (const std::string& text : texts) {
    std::string& taken = text.find(':') == std::string::npos ? ipv4 : ipv6;
    if (!taken.empty())
      throw Error::make(Errc::unsupported, "{} '{}' is a second one of its kind", flag, printable(text))
          .with_hint("a network has one of IPv4 and one of IPv6");
    taken = text;
  }
}

int create(const Context& context, const Arguments& arguments) {
  runner::NetworkDefinition wish;
  std::string driver = "bridge";
  std::vector<std::string> options;
  std::vector<std::string> labels;
  std::vector<std::string> subnets;
  std::vector<std::string> gateways;
  bool is_internal = false;
  bool has_ipv6 = false;
  Parser parser("network create", "[flags] NAME", "Makes a network; prints its name.");
  parser.add_option("name", wish.name, "of the network").required();
  parser.add_option("-d,--driver", driver, "bridge (default), macvlan").type_name("DRIVER");
  parser.add_list("--subnet", subnets, "instead of a free one; one of IPv4, one of IPv6", "ADDRESS/BITS");
  parser.add_flag("--ipv6", has_ipv6, "IPv6 too");
  parser.add_list("--gateway", gateways, "instead of the subnet's first address, of either family",
                  "ADDRESS");
  parser.add_option("--ip-range", wish.ip_range, "where free addresses are taken from")
      .type_name("ADDRESS/BITS");
  parser.add_flag("--internal", is_internal, "no way out: not to the host, not to other networks");
  parser.add_list("-o,--opt", options,
                  "mtu=BYTES; icc=false: containers do not reach each other; metadata=false: nor "
                  "169.254.169.254; parent=LINK of macvlan",
                  "KEY=VALUE");
  parser.add_list("--label", labels, "label of the network", "KEY=VALUE");
  parser.parse(arguments);
  return with_context("network create " + printable(wish.name), [&] {
    wish.driver = parse_driver(driver);
    take_by_family(subnets, "--subnet", wish.subnet, wish.subnet6);
    take_by_family(gateways, "--gateway", wish.wished_gateway, wish.wished_gateway6);
    if (is_internal) wish.reach = runner::Reach::inside;
    take_options(wish, options);
    for (const std::string& label : labels) wish.labels.insert(parse_label(label));
    wish.created = std::chrono::system_clock::now();
    const auto families = has_ipv6 ? runner::Families::both : runner::Families::ipv4;
    fmt::print("{}\n", runner::NetworkStore(context.root).create(wish, families).name);
    return 0;
  });
}

bool fits(const Filters& filter, const runner::NetworkDefinition& network) {
  return filter.any("id",
                    [&](const auto& value) { return !value.empty() && network.id.starts_with(value); }) &&
         filter.any("name",
                    [&](const auto& value) { return network.name.find(value) != std::string::npos; }) &&
         filter.any("driver", [&](const auto& value) { return value == to_string(network.driver); }) &&
         filter.fit_labels(network.labels);
}

int list(const Context& context, const Arguments& arguments) {
  std::string format;
  bool is_quiet = false;
  bool whole_ids = false;
  std::vector<std::string> filters;
  ListFlags list({});
  Parser parser("network ls", "[flags]", "Lists networks.");
  parser.add_list("-f,--filter", filters, "only those: id, name (part of it), driver, label", "KEY=VALUE");
  parser.add_flag("--no-trunc", whole_ids, "whole ids");
  list.add_to(parser, "-n,--noheading");
  parser.add_flag("-q,--quiet", is_quiet, "names only");
  parser.add_option("--format", format, "json, jsonl, table TEMPLATE, or a template").type_name("FORMAT");
  parser.parse(arguments);
  const Filters filter(filters, {"id", "name", "driver", "label"});
  std::vector<Json> rows;
  std::vector<runner::NetworkDefinition> all = runner::NetworkStore(context.root).list();
  all.insert(all.begin(), runner::bridge_of_all(context.run));
  for (const runner::NetworkDefinition& network : all)
    if (fits(filter, network))
      rows.push_back({{"ID", whole_ids ? network.id : network.id.substr(0, kShortId)},
                      {"Name", network.name},
                      {"Driver", to_string(network.driver)},
                      {"Subnet", network.subnet},
                      {"Internal", network.reach == runner::Reach::inside ? "true" : "false"}});
  if (is_quiet) {
    for (const Json& row : rows) fmt::print("{}\n", json_string(row, "Name"));
    return 0;
  }
  print_listing(rows, {{"NETWORK ID", "ID"}, {"NAME", "Name"}, {"DRIVER", "Driver"}, {"SUBNET", "Subnet"}},
                format, list.heading());
  return 0;
}

Json containers_on(const runner::ContainerStore& containers,
                   const std::optional<runner::NetworkDefinition>& network) {
  const auto members = runner::members_of(containers.run(), network);
  Json found = Json::object();
  if (members.empty()) return found;
  for (const runner::Container& container : containers.list()) {
    const auto member = members.find(container.config().id);
    if (member == members.end() || container.state().status != runner::Status::running) continue;
    found[member->first] = {
        {"Name", container.config().name},
        {"IPv4Address", fmt::format("{}/{}", member->second.address, member->second.prefix_length)},
        {"IPv6Address", member->second.address6.empty()
                            ? std::string()
                            : fmt::format("{}/{}", member->second.address6, member->second.prefix_length6)},
        {"MacAddress", member->second.mac_address}};
  }
  return found;
}

Json subnets_of(const runner::NetworkDefinition& network) {
  if (network.subnet.empty()) return Json::array();
  Json ipv4{{"Subnet", network.subnet}, {"Gateway", network.gateway()}};
  if (!network.ip_range.empty()) ipv4["IPRange"] = network.ip_range;
  Json subnets = Json::array({ipv4});
  if (!network.subnet6.empty())
    subnets.push_back({{"Subnet", network.subnet6}, {"Gateway", network.gateway6()}});
  return subnets;
}

Json describe(const runner::NetworkDefinition& network, Json containers) {
  Json options = Json::object();
  if (network.mtu != 0) options["mtu"] = std::to_string(network.mtu);
  if (!network.parent.empty()) options["parent"] = network.parent;
  if (network.neighbours == runner::Neighbours::apart) options["icc"] = "false";
  if (network.metadata == runner::Metadata::blocked) options["metadata"] = "false";
  return {{"Name", network.name},
          {"Id", network.id},
          {"Created", format_time(network.created)},
          {"Driver", to_string(network.driver)},
          {"Internal", network.reach == runner::Reach::inside},
          {"EnableIPv6", !network.subnet6.empty()},
          {"IPAM", {{"Config", subnets_of(network)}}},
          {"Options", options},
          {"Labels", network.labels},
          {"Containers", std::move(containers)}};
}

Json describe_bridge(const runner::ContainerStore& containers) {
  Json bridge = describe(runner::bridge_of_all(containers.run()), containers_on(containers, std::nullopt));
  bridge.erase("Created");  // lay makes it when it is needed
  return bridge;
}

Json describe_any(const Context& context, const std::string& name) {
  const runner::ContainerStore containers = open_containers(context);
  if (name == "bridge") return describe_bridge(containers);
  const runner::NetworkDefinition network = runner::NetworkStore(context.root).find(name);
  return describe(network, containers_on(containers, network));
}

int inspect(const Context& context, const Arguments& arguments) {
  std::vector<std::string> names;
  std::string format;
  Parser parser("network inspect", "[flags] NETWORK …", "Shows networks as JSON.");
  parser.add_option("name", names, "networks").required();
  parser.add_option("-f,--format", format, "a template: '{{.Driver}}'").type_name("TEMPLATE");
  parser.parse(arguments);
  Json all = Json::array();
  for (const std::string& name : names) all.push_back(describe_any(context, name));
  if (format.empty() || format == "json")
    fmt::print("{}\n", dump_json_pretty(all));
  else
    for (const Json& entry : all) fmt::print("{}\n", fill_template(format, entry));
  return 0;
}

int connect(const Context& context, const Arguments& arguments) {
  runner::Endpoint endpoint;
  std::string container;
  Parser parser("network connect", "[flags] NETWORK CONTAINER",
                "Puts a container on one more network, at once where it runs.");
  parser.add_option("network", endpoint.name, "to be connected to").required();
  parser.add_option("container", container, "name or id").required();
  parser.add_list("--alias", endpoint.aliases, "another name for others on the network", "NAME");
  parser.add_option("--ip", endpoint.address, "instead of a free one").type_name("ADDRESS");
  parser.add_option("--ip6", endpoint.address6, "IPv6, on a network made with --ipv6").type_name("ADDRESS");
  parser.add_option("--mac-address", endpoint.mac_address, "of its link").type_name("MAC");
  parser.parse(arguments);
  return with_context("network connect " + printable(endpoint.name), [&] {
    for (const std::string& alias : endpoint.aliases) runner::check_network_alias(alias);
    if (!endpoint.mac_address.empty()) endpoint.mac_address = runner::parse_mac_address(endpoint.mac_address);
    if (endpoint.name == "bridge" &&
        (!endpoint.aliases.empty() || !endpoint.address.empty() || !endpoint.address6.empty()))
      throw Error(Errc::invalid, "--alias and --ip need a network that was made for it")
          .with_hint("lay network create NET");
    runner::connect_to_network(open_containers(context), container, endpoint, print_note);
    return 0;
  });
}

int disconnect(const Context& context, const Arguments& arguments) {
  std::string network;
  std::string container;
  Parser parser("network disconnect", "NETWORK CONTAINER",
                "Takes a container off a network, at once where it runs.");
  parser.add_option("network", network, "to be left").required();
  parser.add_option("container", container, "name or id").required();
  parser.parse(arguments);
  return with_context("network disconnect " + printable(network), [&] {
    runner::disconnect_from_network(open_containers(context), container, network, print_note);
    return 0;
  });
}

int remove(const Context& context, const Arguments& arguments) {
  std::vector<std::string> names;
  Parser parser("network rm", "NETWORK …", "Removes networks that no container uses.");
  parser.add_option("name", names, "networks").required();
  parser.parse(arguments);
  const runner::NetworkStore networks(context.root);
  int code = 0;
  for (const std::string& name : names) {
    try {
      const runner::NetworkDefinition network = networks.find(name);
      networks.remove(network, open_containers(context));
      fmt::print("{}\n", network.name);
    } catch (const Error& error) {
      print_error("network rm: " + error.message(), error.hint());
      code = 1;
    }
  }
  return code;
}

int prune(const Context& context, const Arguments& arguments) {
  bool is_forced = false;
  Parser parser("network prune", "[-f]", "Removes every network that no container uses.");
  parser.add_flag("-f,--force", is_forced, "do not ask");
  parser.parse(arguments);
  if (!is_forced && !is_confirmed("remove every network that no container uses?", "lay network prune -f"))
    return 1;
  const runner::NetworkStore networks(context.root);
  for (const runner::NetworkDefinition& network : networks.list()) {
    try {
      networks.remove(network, open_containers(context));
      fmt::print("{}\n", network.name);
    } catch (const Error& error) {
      if (error.code() != Errc::busy) throw;
    }
  }
  return 0;
}

}  // namespace

int command_network(const Context& context, const Arguments& arguments) {
  struct Entry {
    std::string_view name;
    Verb run;
  };
  static constexpr std::array kVerbs{Entry{"create", create},   Entry{"ls", list},
                                     Entry{"list", list},       Entry{"inspect", inspect},
                                     Entry{"rm", remove},       Entry{"prune", prune},
                                     Entry{"connect", connect}, Entry{"disconnect", disconnect}};
  if (arguments.size() > 1 && arguments[0] == "--help")  // lay help network create
    return command_network(context, {arguments[1], "--help"});
  const std::string usage = "create|ls|inspect|connect|disconnect|rm|prune …";
  if (arguments.empty() || arguments.front().starts_with("-")) {
    Parser parser("network", usage, "Makes, lists and removes networks, and puts containers on them.");
    parser.parse(arguments);
    throw UsageError{"what about networks? " + usage};
  }
  require_root("network");
  for (const Entry& verb : kVerbs)
    if (arguments.front() == verb.name)
      return verb.run(context, Arguments(arguments.begin() + 1, arguments.end()));
  throw UsageError{fmt::format("network '{}' is none of create, ls, inspect, connect, disconnect, rm, prune",
                               printable(arguments.front()))};
}

}  // namespace lay::cli
