#include "flags/network_flags.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "flags/options.h"
#include "runner/network_membership.h"

namespace lay::cli {

namespace {

/// Each port holds a socket as long as the container lives, of the 1024 descriptors a process usually may
/// have.
constexpr std::size_t kMaxPublished = 900;

/// Every exposed port that no -p names already, on a free port of the host.
void publish_exposed(runner::NetworkConfig& network, const std::vector<std::string>& exposed) {
  if (network.mode != runner::NetworkMode::bridge)
    throw Error(Errc::invalid, "-P needs the bridge network").with_hint("--network bridge");
  const std::vector<runner::PortMapping> named = network.ports;
  for (const std::string& text : exposed)
    for (runner::PortMapping& port : runner::parse_exposed_ports(text)) {
      const auto is_same = [&](const runner::PortMapping& other) {
        return other.container_port == port.container_port && other.protocol == port.protocol;
      };
      if (std::any_of(named.begin(), named.end(), is_same)) continue;
      network.ports.push_back(std::move(port));
    }
}

void check_count(const std::vector<runner::PortMapping>& ports) {
  if (ports.size() > kMaxPublished)
    throw Error::make(Errc::unsupported, "{} ports are to be published, and {} is the most", ports.size(),
                      kMaxPublished)
        .with_hint("publish what is needed, or give the container the host's network: --network host");
}

void refuse_ipv6_ports(const runner::NetworkConfig& network) {
  for (const runner::PortMapping& port : network.ports)
    if (runner::is_ipv6(port)) throw runner::no_ipv6_for(port);
}

}  // namespace

void NetworkFlags::add_to(Parser& parser) {
  parser.add_flag("-P,--publish-all", publish_all, "publish what the image exposes on free ports");
  parser.add_list("--expose", expose, "port for -P to publish too", "PORT[/PROTO]");
  parser.add_list("--dns", dns, "name server instead of the host's; none: the image's resolv.conf",
                  "ADDRESS");
  parser.add_list("--dns-search", dns_searches, "search domain instead of the host's; '.': none", "DOMAIN");
  parser.add_list("--dns-option,--dns-opt", dns_options, "resolver option instead of the host's", "OPTION");
  parser.add_list("--add-host", hosts, "line of /etc/hosts; host-gateway is the host", "NAME:ADDRESS");
  parser.add_flag("--no-hosts", no_hosts, "the image's own /etc/hosts");
  parser.add_list("--network-alias", aliases, "another name for others on its network", "NAME");
  parser.add_option("--ip", address, "on a network made with 'lay network create'").type_name("ADDRESS");
  parser.add_option("--ip6", address6, "IPv6, on a network made with --ipv6").type_name("ADDRESS");
  parser.add_option("--mac-address", mac_address, "of its link").type_name("MAC");
}

void NetworkFlags::apply(runner::NetworkConfig& network, const std::set<std::string>& exposed) const {
  const bool names_are_given =
      !dns.empty() || !dns_searches.empty() || !dns_options.empty() || !hosts.empty() || no_hosts;
  if (names_are_given && network.mode == runner::NetworkMode::container)
    throw Error(Errc::invalid, "--dns, --add-host and --no-hosts mean nothing with a joined network")
        .with_hint("give them to the container whose network is joined: both have the same names");
  if (!mac_address.empty()) {
    if (network.mode != runner::NetworkMode::bridge)
      throw Error(Errc::invalid, "--mac-address needs a network with a link of its own")
          .with_hint("--network bridge");
    network.mac_address = runner::parse_mac_address(mac_address);
  }
  if (network.name.empty() && (!aliases.empty() || !address.empty() || !address6.empty()))
    throw Error(Errc::invalid, "--ip, --ip6 and --network-alias need a network that was made for it")
        .with_hint("lay network create NET, then --network NET");
  for (const std::string& alias : aliases) {
    runner::check_network_alias(alias);
    network.aliases.push_back(alias);
  }
  if (!address.empty()) network.address = address;
  if (!address6.empty()) network.address6 = address6;
  std::vector<std::string> all(exposed.begin(), exposed.end());
  for (const std::string& text : expose) {
    static_cast<void>(runner::parse_exposed_ports(text));
    all.push_back(text);
  }
  if (publish_all) publish_exposed(network, all);
  check_count(network.ports);

  runner::ResolverConfig& resolver = network.resolver;
  if (dns == std::vector<std::string>{"none"}) {
    if (!dns_searches.empty() || !dns_options.empty())
      throw Error(Errc::invalid, "--dns none keeps the image's resolv.conf: nothing can be put into it")
          .with_hint("leave --dns-search and --dns-option out");
    resolver.resolver_file = runner::EtcFile::images_own;
  } else {
    for (const std::string& server : dns) runner::check_name_server(server);
    resolver.servers = dns;
  }
  for (const std::string& domain : dns_searches) runner::check_search_domain(domain);
  for (const std::string& option : dns_options) runner::check_resolver_option(option);
  resolver.searches = dns_searches;
  resolver.options = dns_options;
  for (const std::string& host : hosts) resolver.hosts.push_back(runner::parse_host_entry(host));
  if (no_hosts && !hosts.empty())
    throw Error(Errc::invalid, "--no-hosts keeps the image's /etc/hosts: --add-host cannot add to it")
        .with_hint("leave one of the two out");
  if (no_hosts) resolver.hosts_file = runner::EtcFile::images_own;
}

void find_networks(const std::string& root, runner::NetworkConfig& network) {
  const runner::NetworkStore networks(root);
  bool has_ipv6 = false;
  std::vector<runner::Endpoint> endpoints = runner::endpoints_of(network);
  for (runner::Endpoint& endpoint : endpoints) {
    if (endpoint.name.empty()) continue;
    const runner::NetworkDefinition found = networks.find(endpoint.name);
    endpoint.name = found.name;
    runner::check_addresses(found, endpoint);
    has_ipv6 = has_ipv6 || !found.subnet6.empty();
  }
  if (!endpoints.empty()) runner::set_endpoints(network, std::move(endpoints));
  if (!has_ipv6) refuse_ipv6_ports(network);
}

std::optional<FileLock> settle_networks(const std::string& root, runner::NetworkConfig& network) {
  if (network.name.empty() && network.more.empty()) {
    refuse_ipv6_ports(network);
    return std::nullopt;
  }
  FileLock lock = runner::NetworkStore(root).keep();
  find_networks(root, network);
  return lock;
}

}  // namespace lay::cli
