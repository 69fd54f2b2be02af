#include <algorithm>
#include <array>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "network/address.h"
#include "network/address6.h"
#include "runner/network.h"

namespace lay::runner {

namespace {

constexpr const char* kPortHint =
    "write it as 8080:80, 127.0.0.1:8080:80, [::1]:8080:80, 8000-8010:80-90 or 53:53/udp";

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

std::string parse_host_ip6(std::string_view host, std::string_view text) {
  const std::optional<Ipv6> address = parse_ipv6(host);
  if (!address) throw bad_port(text, "what stands in brackets is not an IPv6 address");
  const std::array<std::uint8_t, 16>& bytes = address->bytes;
  if (bytes[0] == 0xff) throw bad_port(text, "a port cannot be published on a multicast address");
  if (bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80)
    throw bad_port(text, "a link-local address is one of several links");
  constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (std::equal(kMapped.begin(), kMapped.end(), bytes.begin()))
    throw bad_port(text, "the IPv6 address stands for one of IPv4, which is to be given as such");
  return to_string(*address);
}

/// The parts between the colons, the container's last.
struct Parts {
  std::string host_ip;
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
  if (rest.starts_with('[')) {
    const std::size_t end = rest.find(']');
    if (end == std::string_view::npos) throw bad_port(text, "what stands in brackets is not an IPv6 address");
    parts.host_ip = parse_host_ip6(rest.substr(1, end - 1), text);
    rest.remove_prefix(end + 1);
    if (!rest.starts_with(':') || std::count(rest.begin(), rest.end(), ':') != 2)
      throw bad_port(text,
                     "behind an address stand a port of the host, which may be empty, and the container's");
    rest.remove_prefix(1);
  } else if (std::count(rest.begin(), rest.end(), ':') > 2) {
    throw bad_port(text, "an IPv6 address has to stand in brackets");
  }
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
    PortMapping port{.host_ip = parts.host_ip.empty() ? "0.0.0.0" : parts.host_ip,
                     .container_port = static_cast<std::uint16_t>(container.first + i),
                     .protocol = parts.protocol,
                     .on_ipv6_too = parts.host_ip.empty()};
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

bool is_ipv6(const PortMapping& port) {
  return port.host_ip.find(':') != std::string::npos;
}

Error no_ipv6_for(const PortMapping& port) {
  return Error::make(Errc::unsupported, "port {} cannot be published: the container has no IPv6 address",
                     to_string(port))
      .with_hint("put it on a network made with 'lay network create --ipv6', or give an address of IPv4");
}

std::string host_end(const PortMapping& port, const std::string& port_text) {
  return is_ipv6(port) ? fmt::format("[{}]:{}", port.host_ip, port_text)
                       : fmt::format("{}:{}", port.host_ip, port_text);
}

std::string port_name(std::uint16_t port, Protocol protocol) {
  return fmt::format("{}/{}", port, protocol == Protocol::tcp ? "tcp" : "udp");
}

std::string to_string(const PortMapping& port) {
  return fmt::format("{}->{}", host_end(port, std::to_string(port.host_port)),
                     port_name(port.container_port, port.protocol));
}

}  // namespace lay::runner
