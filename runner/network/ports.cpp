#include "network/ports.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "network/address.h"
#include "network/address6.h"

namespace lay::runner {

namespace {

/// Room for an address of either family.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

/// One socket holds "::" for both families.
bool is_of_ipv6(const PortMapping& port) {
  return is_ipv6(port) || port.on_ipv6_too;
}

SocketAddress socket_address(const PortMapping& port) {
  SocketAddress address;
  if (is_of_ipv6(port)) {
    auto& six = reinterpret_cast<sockaddr_in6&>(address.storage);
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port.host_port);
    const Ipv6 host = port.on_ipv6_too ? Ipv6{} : parse_ipv6(port.host_ip).value_or(Ipv6{});
    std::copy(host.bytes.begin(), host.bytes.end(), six.sin6_addr.s6_addr);
    address.size = sizeof six;
    return address;
  }
  const std::optional<Ipv4> host = parse_ipv4(port.host_ip);
  if (!host) throw Error::make(Errc::invalid, "host address '{}' is not an IP address", port.host_ip);
  auto& four = reinterpret_cast<sockaddr_in&>(address.storage);
  four.sin_family = AF_INET;
  four.sin_addr.s_addr = htonl(host->value);
  four.sin_port = htons(port.host_port);
  address.size = sizeof four;
  return address;
}

UniqueFd open_socket(const PortMapping& port) {
  const int family = is_of_ipv6(port) ? AF_INET6 : AF_INET;
  const int type = port.protocol == Protocol::tcp ? SOCK_STREAM : SOCK_DGRAM;
  UniqueFd fd(::socket(family, type | SOCK_CLOEXEC, 0));
  if (!fd) throw Error::from_errno("open a socket");
  if (family == AF_INET) return fd;
  const int alone = port.on_ipv6_too ? 0 : 1;
  if (::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &alone, sizeof alone) < 0)
    throw Error::from_errno("set IPV6_V6ONLY to {}", alone);
  return fd;
}

/// bind(2); false when the port is taken.
bool try_bind(const UniqueFd& socket, const PortMapping& port) {
  const SocketAddress address = socket_address(port);
  if (::bind(socket.get(), address.get(), address.size) == 0) return true;
  if (errno == EADDRINUSE) return false;
  if (errno == EADDRNOTAVAIL)
    throw Error::make(Errc::invalid, "port {} cannot be published: this machine has no address {}",
                      host_port_name(port), port.host_ip)
        .with_hint("leave the address out, or give one that `ip address` shows");
  throw Error::from_errno("bind port {} on {}", host_port_name(port), port.host_ip);
}

void set_reuse(const UniqueFd& socket, int value) {
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &value, sizeof value) < 0)
    throw Error::from_errno("set SO_REUSEADDR to {}", value);
}

/// Takes a port that nothing but connections in TIME_WAIT holds. bind alone does not prove that, because it
/// also passes over sockets that are bound with the same option; listen does. The listener is shut down at
/// once (the port stays bound), and without the option no other socket can listen there.
std::optional<UniqueFd> bind_over_closed_connections(const PortMapping& port) {
  UniqueFd socket = open_socket(port);
  set_reuse(socket, 1);
  if (!try_bind(socket, port) || ::listen(socket.get(), 0) < 0) return std::nullopt;
  if (::shutdown(socket.get(), SHUT_RD) < 0)
    throw Error::from_errno("stop listening on {}", host_port_name(port));
  set_reuse(socket, 0);
  return socket;
}

std::uint16_t bound_port(const UniqueFd& socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) < 0)
    throw Error::from_errno("read the port of a socket");
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

/// Empty when the port is taken.
std::optional<HeldPort> try_hold(const PortMapping& port) {
  HeldPort held{port, open_socket(port)};
  if (!try_bind(held.socket, port)) {
    std::optional<UniqueFd> taken;
    if (port.protocol == Protocol::tcp) taken = bind_over_closed_connections(port);
    if (!taken) return std::nullopt;
    held.socket = std::move(*taken);
  }
  held.port.host_port = bound_port(held.socket);
  return held;
}

}  // namespace

HeldPort hold_port(const PortMapping& port) {
  if (port.host_port_last == 0) {
    if (auto held = try_hold(port)) return std::move(*held);
    throw Error::make(Errc::busy, "port {} is already in use on {}", host_port_name(port), port.host_ip)
        .with_hint("`lay ps` shows the ports of containers; stop what has it, or choose another with -p");
  }
  PortMapping candidate = port;
  candidate.host_port_last = 0;
  for (unsigned number = port.host_port; number <= port.host_port_last; ++number) {
    candidate.host_port = static_cast<std::uint16_t>(number);
    if (auto held = try_hold(candidate)) return std::move(*held);
  }
  throw Error::make(Errc::busy, "all ports from {} to {} are already in use on {}", host_port_name(port),
                    port.host_port_last, port.host_ip)
      .with_hint("`lay ps` shows the ports of containers; give a wider range with -p");
}

std::vector<HeldPort> hold_ports(const std::vector<PortMapping>& ports) {
  std::vector<HeldPort> held;
  for (const PortMapping& port : ports) {
    for (const HeldPort& other : held)
      if (port.host_port != 0 && port.host_port_last == 0 && other.port.host_port == port.host_port &&
          other.port.host_ip == port.host_ip && other.port.protocol == port.protocol)
        throw Error::make(Errc::invalid, "port {} is published twice on {}", host_port_name(port),
                          port.host_ip)
            .with_hint("give each host port to one -p");
    held.push_back(hold_port(port));
  }
  return held;
}

std::vector<PortMapping> mappings_of(const std::vector<HeldPort>& held) {
  std::vector<PortMapping> mappings;
  for (const HeldPort& each : held) {
    mappings.push_back(each.port);
    mappings.back().on_ipv6_too = false;
  }
  for (const HeldPort& each : held) {
    if (!each.port.on_ipv6_too) continue;
    mappings.push_back(each.port);
    mappings.back().host_ip = "::";
    mappings.back().on_ipv6_too = false;
  }
  return mappings;
}

std::string host_port_name(const PortMapping& port) {
  return port_name(port.host_port, port.protocol);
}

}  // namespace lay::runner
