#include <algorithm>
#include <array>
#include <utility>

#include "base/json.h"
#include "container/names.h"
#include "network/address.h"
#include "network/address6.h"
#include "network/leases.h"
#include "runner/network_store.h"

namespace lay::runner {

std::string NetworkDefinition::gateway() const {
  if (!wished_gateway.empty()) return wished_gateway;
  return to_string(parse_subnet(subnet).value_or(Subnet{}).gateway());
}

std::string NetworkDefinition::gateway6() const {
  const std::optional<Subnet6> parsed = parse_subnet6(subnet6);
  if (parsed && !wished_gateway6.empty()) return wished_gateway6;
  return parsed ? to_string(parsed->gateway()) : std::string();
}

std::string_view to_string(NetworkDriver driver) {
  return driver == NetworkDriver::macvlan ? "macvlan" : "bridge";
}

std::string network_text(const NetworkDefinition& network) {
  Json json{{"id", network.id},
            {"name", network.name},
            {"created", format_time(network.created)},
            {"subnet", network.subnet},
            {"internal", network.reach == Reach::inside},
            {"mtu", network.mtu},
            {"labels", network.labels}};
  const auto add = [&](const char* key, const std::string& value) {
    if (!value.empty()) json[key] = value;
  };
  add("subnet6", network.subnet6);
  add("gateway", network.wished_gateway);
  add("gateway6", network.wished_gateway6);
  add("ipRange", network.ip_range);
  add("parent", network.parent);
  if (network.driver != NetworkDriver::bridge) json["driver"] = to_string(network.driver);
  if (network.neighbours == Neighbours::apart) json["icc"] = false;
  if (network.metadata == Metadata::blocked) json["metadata"] = false;
  return dump_json(json);
}

NetworkDefinition parse_network_definition(std::string_view text) {
  const Json json = parse_json(text, "network");
  const std::optional<Time> created = parse_time(json_string(json, "created"));
  const std::int64_t mtu = json_int_or(json, "mtu", 0);
  NetworkDefinition network{
      .id = json_string(json, "id"),
      .name = json_string(json, "name"),
      .created = created.value_or(Time{}),
      .subnet = check_network_subnet(json_string(json, "subnet")),
      .reach = json_bool_or(json, "internal", false) ? Reach::inside : Reach::everywhere,
      .mtu = std::in_range<std::uint16_t>(mtu) ? static_cast<unsigned>(mtu) : 0,
      .labels = {},
      .subnet6 = json_string_or(json, "subnet6", {}),
      .wished_gateway = json_string_or(json, "gateway", {}),
      .wished_gateway6 = json_string_or(json, "gateway6", {}),
      .ip_range = json_string_or(json, "ipRange", {}),
      .driver =
          json_string_or(json, "driver", {}) == "macvlan" ? NetworkDriver::macvlan : NetworkDriver::bridge,
      .parent = json_string_or(json, "parent", {}),
      .neighbours = json_bool_or(json, "icc", true) ? Neighbours::in_reach : Neighbours::apart,
      .metadata = json_bool_or(json, "metadata", true) ? Metadata::in_reach : Metadata::blocked};
  if (!is_id_prefix(network.id) || !is_network_name(network.name))
    throw Error(Errc::invalid, "network: id or name is malformed");
  if (const Json* labels = json_find(json, "labels"))
    for (const auto& [key, value] : labels->items()) network.labels[key] = json_string(*labels, key.c_str());
  check_network(network);
  return network;
}

bool is_network_name(std::string_view name) {
  static constexpr std::array<std::string_view, 6> kReserved{"bridge",    "none",    "host",
                                                             "container", "default", "ns"};
  return is_container_name(name) && std::find(kReserved.begin(), kReserved.end(), name) == kReserved.end();
}

std::string check_network_subnet(std::string_view text) {
  constexpr unsigned kWidest = 8;
  constexpr unsigned kNarrowest = 29;  // five containers
  const std::string shown = printable(text);
  const std::optional<Subnet> subnet = parse_subnet(text);
  if (!subnet)
    throw Error::make(Errc::invalid, "'{}' is no subnet", shown)
        .with_hint("its first address and how many bits are fixed: 10.100.0.0/16");
  if (subnet->prefix_length < kWidest || subnet->prefix_length > kNarrowest)
    throw Error::make(Errc::invalid, "subnet '{}': {} to {} bits can be fixed, not {}", shown, kWidest,
                      kNarrowest, subnet->prefix_length);
  return to_string(*subnet);
}

namespace {

void check_ipv6(const NetworkDefinition& network, const Subnet& subnet) {
  if (network.subnet6.empty()) return;
  constexpr unsigned kWidest = 8;
  constexpr unsigned kBits = 128;
  const std::optional<Subnet6> subnet6 = parse_subnet6(network.subnet6);
  const unsigned host_bits = 32 - subnet.prefix_length;
  if (!subnet6)
    throw Error::make(Errc::invalid, "'{}' is no subnet", printable(network.subnet6))
        .with_hint("its first address and how many bits are fixed: fd00:1::/64");
  if (subnet6->prefix_length < kWidest || subnet6->prefix_length > kBits - host_bits)
    throw Error::make(Errc::invalid, "subnet '{}': {} to {} bits can be fixed beside {}", network.subnet6,
                      kWidest, kBits - host_bits, network.subnet)
        .with_hint("it needs as many addresses as the IPv4 subnet: fd00:1::/64");
}

/// A router on a wire that is not lay's may be known by its link-local address alone, as in router
/// advertisements.
void check_gateway6(const NetworkDefinition& network) {
  if (network.wished_gateway6.empty()) return;
  const std::optional<Ipv6> gateway = parse_ipv6(network.wished_gateway6);
  const std::optional<Subnet6> subnet = parse_subnet6(network.subnet6);
  const Subnet6 link_local = parse_subnet6("fe80::/10").value_or(Subnet6{});
  const bool is_within = gateway && subnet && subnet->contains(*gateway) && *gateway != subnet->address;
  const bool is_router = gateway && network.driver == NetworkDriver::macvlan && link_local.contains(*gateway);
  if (!subnet)
    throw Error::make(Errc::invalid, "gateway '{}' is of IPv6, which the network does not have",
                      printable(network.wished_gateway6))
        .with_hint("--ipv6, or --subnet with one of IPv6");
  if (!is_within && !is_router)
    throw Error::make(Errc::invalid, "gateway '{}' is no address within {}",
                      printable(network.wished_gateway6), network.subnet6)
        .with_hint("its first one is the usual: " + to_string(subnet->gateway()));
}

/// RFC 6890 and 5771: no machine can have an address there that another reaches.
void check_usable(const NetworkDefinition& network, const Subnet& subnet) {
  for (const char* reserved : {"0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4"})
    if (parse_subnet(reserved).value_or(Subnet{}).overlaps(subnet))
      throw Error::make(Errc::invalid, "subnet {} overlaps {}, where no machine has its address",
                        network.subnet, reserved)
          .with_hint("a private one: 10.5.0.0/24; without --subnet a free one is chosen");
  const std::optional<Subnet6> subnet6 = parse_subnet6(network.subnet6);
  for (const char* reserved : {"ff00::/8", "fe80::/10"})
    if (subnet6 && parse_subnet6(reserved).value_or(Subnet6{}).overlaps(*subnet6))
      throw Error::make(Errc::invalid, "subnet {} overlaps {}, where no network has its addresses",
                        network.subnet6, reserved)
          .with_hint("a private one: fd00:1::/64; with --ipv6 alone a free one is chosen");
}

void check_driver(const NetworkDefinition& network) {
  if (network.driver == NetworkDriver::bridge) {
    if (!network.parent.empty())
      throw Error(Errc::invalid, "a bridge has no parent link").with_hint("--driver macvlan -o parent=LINK");
    return;
  }
  if (network.parent.empty())
    throw Error(Errc::invalid, "a macvlan network needs a parent link").with_hint("-o parent=eth0");
  if (network.reach == Reach::inside)
    throw Error(Errc::unsupported, "a macvlan network cannot be --internal: it is on the wire of its parent")
        .with_hint("leave out --internal, or use --driver bridge");
  if (network.neighbours == Neighbours::apart || network.metadata == Metadata::blocked)
    throw Error(Errc::unsupported,
                "a macvlan network knows no icc=false and metadata=false: its packets pass no rules of lay's")
        .with_hint("leave out -o icc and metadata, or use --driver bridge");
}

}  // namespace

void check_network(const NetworkDefinition& network) {
  const Subnet subnet = parse_subnet(network.subnet).value_or(Subnet{});
  const std::optional<Ipv4> gateway = parse_ipv4(network.gateway());
  if (!gateway || !AddressPool{subnet, {}, subnet}.has(*gateway))
    throw Error::make(Errc::invalid, "gateway '{}' is no address within {}",
                      printable(network.wished_gateway), network.subnet)
        .with_hint("neither its first address nor its last: " + to_string(subnet.gateway()));
  check_ipv6(network, subnet);
  check_usable(network, subnet);
  check_gateway6(network);
  check_driver(network);
  if (network.ip_range.empty()) return;
  const std::optional<Subnet> range = parse_subnet(network.ip_range);
  if (!range || range->prefix_length < subnet.prefix_length || !subnet.contains(range->address))
    throw Error::make(Errc::invalid, "range '{}' is no part of {}", printable(network.ip_range),
                      network.subnet)
        .with_hint("its first address and how many bits are fixed: " + to_string(Subnet{subnet.address, 28}));
}

}  // namespace lay::runner
