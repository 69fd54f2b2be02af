#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "runner/network_store.h"
#include "runner/resolver.h"

namespace lay::runner {

enum class NetworkMode { bridge, none, host, container, path };
enum class Protocol { tcp, udp };

/// "-p [ip:][host]:container[/udp]".
struct PortMapping {
  std::string host_ip;          ///< "0.0.0.0" when not given; may be one of IPv6
  std::uint16_t host_port = 0;  ///< 0: a free one is chosen at start
  std::uint16_t container_port = 0;
  Protocol protocol = Protocol::tcp;
  std::uint16_t host_port_last = 0;  ///< not 0: a free one from host_port to this is chosen at start
  bool on_ipv6_too = false;          ///< no address was given: on "::" as well, where the container has IPv6

  bool operator==(const PortMapping&) const = default;
};

/// One mapping for each port of the container: "8080:80", "127.0.0.1:53:53/udp", "[::1]:8080:80",
/// "8000-8010:80-90"; a range of host ports for one of the container is one mapping. Throws invalid with a
/// hint.
std::vector<PortMapping> parse_port_mappings(std::string_view text);
/// "80", "8000-8010/udp", as images and --expose name ports: each to be published on a free host port.
std::vector<PortMapping> parse_exposed_ports(std::string_view text);
/// Whether the host's address is one of IPv6.
bool is_ipv6(const PortMapping& port);
/// What to say of one of IPv6 where the container has no such address.
Error no_ipv6_for(const PortMapping& port);
/// "0.0.0.0:8080", "[::1]:8080"; of several ports the text that stands for them.
std::string host_end(const PortMapping& port, const std::string& port_text);
/// "80/tcp".
std::string port_name(std::uint16_t port, Protocol protocol);
/// "0.0.0.0:8080->80/tcp".
std::string to_string(const PortMapping& port);

/// What a container wants to be on one network.
struct Endpoint {
  std::string name;                  ///< of a network that users made; empty: the bridge of all
  std::vector<std::string> aliases;  ///< by which others on it know the container, beside name and id
  std::string address;               ///< empty: a free one
  std::string mac_address;           ///< empty: one that is made of the address
  std::string address6 = {};         ///< IPv6; empty: one that is made of the IPv4 address

  bool operator==(const Endpoint&) const = default;
};

/// What a container wants of the network: the mode, and what is of it alone. The members from `name` on that
/// Endpoint has too are those of its first network.
struct NetworkConfig {
  NetworkMode mode = NetworkMode::bridge;
  std::string container;  ///< id of the container whose namespace is joined; mode container only
  std::vector<PortMapping> ports;
  std::string mac_address;  ///< of the container's link; empty: one that is made of its address
  ResolverConfig resolver;
  std::string name = {};                  ///< of a network that users made; empty: the bridge of all
  std::vector<std::string> aliases = {};  ///< by which others on it know the container, beside name and id
  std::string address = {};               ///< empty: a free one
  std::string address6 = {};              ///< IPv6; empty: one that is made of the IPv4 address
  std::vector<Endpoint> more = {};        ///< networks beside that one; mode bridge only
  std::string path = {};                  ///< of a network namespace to join; mode path only
};

/// All networks that a container is on, the first first; none but in mode bridge.
std::vector<Endpoint> endpoints_of(const NetworkConfig& network);
/// Puts `endpoints` in place of those that `network` has; without any it is mode none.
void set_endpoints(NetworkConfig& network, std::vector<Endpoint> endpoints);
bool is_on(const NetworkConfig& network, std::string_view name);
/// "bridge" for the bridge of all.
std::string shown_name(const Endpoint& endpoint);

/// "01:23:45:67:89:ab" in lower case; throws invalid when it is not the address of one station.
std::string parse_mac_address(std::string_view text);

/// "bridge", "none", "host", "container:NAME", "ns:PATH", or "NETWORK[:alias=A,ip=IP,ip6=IP,mac=MAC]"; throws
/// invalid. `container`, `path` and `name` are as written.
NetworkConfig parse_network(std::string_view text);
/// Several of them, which must be networks that can stand beside each other, each once; "bridge" when there
/// is none. The last, as podman has it, may be names with commas between.
NetworkConfig parse_networks(const std::vector<std::string>& texts);

/// Throws invalid when it cannot name a container for others: control characters and blanks would become
/// lines of their hosts files.
void check_network_alias(std::string_view alias);

/// A container on a network that users made.
struct NetworkMember {
  NetworkDefinition network;
  std::vector<std::string> names;  ///< others know it by
  std::string folder;              ///< with its hosts file
};

/// What a container got on the bridge.
struct Attachment {
  std::string address;  ///< "10.99.0.2"
  unsigned prefix_length = 16;
  std::string gateway;
  std::string address6 = {};  ///< empty on a network without IPv6
  unsigned prefix_length6 = 0;
  std::string mac_address = {};
  std::vector<PortMapping> ports = {};  ///< with the host ports really taken
  /// One-line remarks for the user: a setting of the host that was changed, or that stands in the way.
  std::vector<std::string> notes = {};
};

/// Holds all that one container has on lay's bridge: address lease, veth, NAT entries, and the host ports,
/// which are kept bound so that nobody else takes them. Destruction gives them back; a killed holder's
/// leftovers are recognised by its free lock and cleared by the next attach or sweep.
class BridgeAttachment {
 public:
  BridgeAttachment(BridgeAttachment&&) noexcept;
  BridgeAttachment& operator=(BridgeAttachment&&) = delete;
  ~BridgeAttachment();

  const Attachment& attachment() const;

  /// First half, before the container's process exists: address, host ports. Throws busy when a port is taken
  /// ("port 8080/tcp is already in use", hint: who or what to do). `run` is RUN; it decides the names of
  /// bridge, table and leases, so that two RUNs do not meet. The bridge of all keeps away from the subnets of
  /// `networks`.
  static BridgeAttachment reserve(const std::string& run, const std::string& container_id,
                                  const NetworkConfig& config,
                                  const std::optional<NetworkMember>& member = std::nullopt,
                                  const NetworkStore* networks = nullptr);
  /// Between the two, when the container's hosts file is written: it and those of all others on the network
  /// get everybody's names. Nothing on the bridge of all.
  void tell_names() const;
  /// Second half: veth with its peer "eth<link>" made inside the network namespace of `pid`, loopback up,
  /// address, default route, NAT entries. One netlink batch where the kernel allows. Of several default
  /// routes that of the lowest number is used.
  ///   link   empty: the lowest number that is free
  void connect(pid_t pid, unsigned link = 0);
  void connect(const UniqueFd& netns, std::optional<unsigned> link);

  /// Becomes readable when somebody may have revoked the lease: the container was disconnected.
  UniqueFd watch() const;
  bool is_revoked() const;

 private:
  struct State;
  explicit BridgeAttachment(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Brings loopback up in the calling process's network namespace (--network none).
void bring_loopback_up();
/// Clears what killed holders left behind: leases, NAT entries; and, when nobody is attached any more, the
/// bridge and the table.
void sweep_networks(const std::string& run);

}  // namespace lay::runner
