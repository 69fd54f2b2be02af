#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "network/address.h"
#include "runner/network.h"

namespace lay::runner {

namespace {

constexpr const char* kPortHint = "write it as 8080:80, 127.0.0.1:8080:80, 8000-8010:80-90 or 53:53/udp";

struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;

  unsigned size() const { return last - first + 1U; }
};

Error bad_port(std::string_view text, std::string_view reason) {
  return Error::make(Errc::invalid, "port mapping '{}': {}", printable(text), reason).with_hint(kPortHint);
}

Error unsupported_port(std::string_view text, std::string_view what, std::string hint) {
  return Error::make(Errc::unsupported, "port mapping '{}': {} not supported", printable(text), what)
      .with_hint(std::move(hint));
}

Protocol parse_protocol(std::string_view name, std::string_view text) {
  const std::string lower = to_lower(name);
  if (lower == "tcp") return Protocol::tcp;
  if (lower == "udp") return Protocol::udp;
  if (lower == "sctp") throw unsupported_port(text, "sctp is", "use tcp or udp");
  throw bad_port(text, "the protocol is neither tcp nor udp");
}

std::uint16_t parse_port(std::string_view digits, std::string_view text) {
  const std::optional<std::uint64_t> number = parse_number(digits);
  if (!number || *number > 65535) throw bad_port(text, "a port is a number from 1 to 65535");
  return static_cast<std::uint16_t>(*number);
}

/// "80" or "80-90".
PortRange parse_range(std::string_view digits, std::string_view text) {
  const std::size_t dash = digits.find('-');
  if (dash == std::string_view::npos) {
    const std::uint16_t port = parse_port(digits, text);
    return {port, port};
  }
  const PortRange range{parse_port(digits.substr(0, dash), text), parse_port(digits.substr(dash + 1), text)};
  if (range.first == 0) throw bad_port(text, "a port is a number from 1 to 65535");
  if (range.last < range.first) throw bad_port(text, "the range ends before it begins");
  return range;
}

std::string parse_host_ip(std::string_view host, std::string_view text) {
  const std::optional<Ipv4> address = parse_ipv4(host);
  if (!address) throw bad_port(text, "the part before the ports is not an IPv4 address");
  constexpr Ipv4 kFirstMulticast{224U << 24};
  if (*address >= kFirstMulticast) throw bad_port(text, "a port cannot be published on a multicast address");
  return to_string(*address);
}

/// "[ADDRESS]:…": rewriting a packet's target cannot turn it from IPv6 to IPv4, and nothing else is between.
[[noreturn]] void refuse_ipv6(std::string_view rest, std::string_view text) {
  const std::size_t end = rest.find(']');
  std::array<std::uint8_t, 16> bytes{};
  if (rest.starts_with('[') &&
      (end == std::string_view::npos ||
       ::inet_pton(AF_INET6, std::string(rest.substr(1, end - 1)).c_str(), bytes.data()) != 1))
    throw bad_port(text, "what stands in brackets is not an IPv6 address");
  throw unsupported_port(text, "IPv6 host addresses are",
                         "leave the address out, or give an IPv4 one: containers are reached by IPv4");
}

/// The parts between the colons, the container's last.
struct Parts {
  std::string host_ip = "0.0.0.0";
  PortRange host;
  PortRange container;
  Protocol protocol = Protocol::tcp;
};

Parts parse_parts(std::string_view text) {
  Parts parts;
  std::string_view rest = text;
  if (const std::size_t slash = rest.find('/'); slash != std::string_view::npos) {
    parts.protocol = parse_protocol(rest.substr(slash + 1), text);
    rest = rest.substr(0, slash);
  }
  if (rest.find('[') != std::string_view::npos || std::count(rest.begin(), rest.end(), ':') > 2)
    refuse_ipv6(rest, text);
  const std::vector<std::string> words = split(rest, ':');
  parts.container = parse_range(words.back(), text);
  if (parts.container.first == 0) throw bad_port(text, "port 0 cannot be published");
  if (words.size() > 1 && !words[words.size() - 2].empty())
    parts.host = parse_range(words[words.size() - 2], text);
  if (words.size() > 2) parts.host_ip = parse_host_ip(words[0], text);
  return parts;
}

}  // namespace

std::vector<PortMapping> parse_port_mappings(std::string_view text) {
  const Parts parts = parse_parts(text);
  const PortRange& host = parts.host;
  const PortRange& container = parts.container;
  const bool takes_one_of = host.size() > 1 && container.size() == 1;
  if (host.first != 0 && host.size() != container.size() && !takes_one_of)
    throw bad_port(text, fmt::format("{} host ports for {} of the container", host.size(), container.size()));
  std::vector<PortMapping> ports;
  for (unsigned i = 0; i < container.size(); ++i) {
    PortMapping port{.host_ip = parts.host_ip,
                     .container_port = static_cast<std::uint16_t>(container.first + i),
                     .protocol = parts.protocol};
    if (takes_one_of) port.host_port_last = host.last;
    if (host.first != 0) port.host_port = static_cast<std::uint16_t>(host.first + i);
    ports.push_back(std::move(port));
  }
  return ports;
}

std::vector<PortMapping> parse_exposed_ports(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string_view digits = text.substr(0, slash);
  if (digits.find(':') != std::string_view::npos)
    throw Error::make(Errc::invalid, "exposed port '{}' is no port of a container", printable(text))
        .with_hint("--expose 80, --expose 8000-8010 or --expose 53/udp");
  return parse_port_mappings(text);
}

std::string port_name(std::uint16_t port, Protocol protocol) {
  return fmt::format("{}/{}", port, protocol == Protocol::tcp ? "tcp" : "udp");
}

std::string to_string(const PortMapping& port) {
  return fmt::format("{}:{}->{}", port.host_ip, port.host_port,
                     port_name(port.container_port, port.protocol));
}

}  // namespace lay::runner
