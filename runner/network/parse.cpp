#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "network/address.h"
#include "runner/network.h"

namespace lay::runner {

namespace {

constexpr const char* kPortHint = "write it as 8080:80, 127.0.0.1:8080:80 or 53:53/udp";

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

enum class ZeroPort { any_free, refused };

std::uint16_t parse_port(std::string_view digits, ZeroPort zero, std::string_view text) {
  const std::size_t dash = digits.find('-');
  if (dash != std::string_view::npos && parse_number(digits.substr(0, dash)) &&
      parse_number(digits.substr(dash + 1)))
    throw unsupported_port(text, "port ranges are", "give -p once for each port");
  const std::optional<std::uint64_t> number = parse_number(digits);
  if (!number || *number > 65535) throw bad_port(text, "a port is a number from 1 to 65535");
  if (*number == 0 && zero == ZeroPort::refused) throw bad_port(text, "port 0 cannot be published");
  return static_cast<std::uint16_t>(*number);
}

std::string parse_host_ip(std::string_view host, std::string_view text) {
  const std::optional<Ipv4> address = parse_ipv4(host);
  if (!address) throw bad_port(text, "the part before the ports is not an IPv4 address");
  constexpr Ipv4 kFirstMulticast{224U << 24};
  if (*address >= kFirstMulticast) throw bad_port(text, "a port cannot be published on a multicast address");
  return to_string(*address);
}

bool is_container_name(std::string_view name) {
  const auto is_alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  if (name.empty() || !is_alphanumeric(name.front())) return false;
  for (const char c : name)
    if (!is_alphanumeric(c) && c != '_' && c != '.' && c != '-') return false;
  return true;
}

}  // namespace

PortMapping parse_port_mapping(std::string_view text) {
  PortMapping port{.host_ip = "0.0.0.0"};
  std::string_view rest = text;
  if (const std::size_t slash = rest.find('/'); slash != std::string_view::npos) {
    port.protocol = parse_protocol(rest.substr(slash + 1), text);
    rest = rest.substr(0, slash);
  }
  if (rest.find('[') != std::string_view::npos || std::count(rest.begin(), rest.end(), ':') > 2)
    throw unsupported_port(text, "IPv6 host addresses are", "leave the address out, or give an IPv4 one");
  const std::vector<std::string> parts = split(rest, ':');
  port.container_port = parse_port(parts.back(), ZeroPort::refused, text);
  if (parts.size() > 1 && !parts[parts.size() - 2].empty())
    port.host_port = parse_port(parts[parts.size() - 2], ZeroPort::any_free, text);
  if (parts.size() > 2) port.host_ip = parse_host_ip(parts[0], text);
  return port;
}

std::string to_string(const PortMapping& port) {
  const char* protocol = port.protocol == Protocol::tcp ? "tcp" : "udp";
  return fmt::format("{}:{}->{}/{}", port.host_ip, port.host_port, port.container_port, protocol);
}

NetworkConfig parse_network(std::string_view text) {
  if (text == "bridge") return {.mode = NetworkMode::bridge};
  if (text == "none") return {.mode = NetworkMode::none};
  if (text == "host") return {.mode = NetworkMode::host};
  constexpr std::string_view kContainer = "container:";
  if (!text.starts_with(kContainer))
    throw Error::make(Errc::invalid, "network '{}' is not known", printable(text))
        .with_hint("use bridge, none, host or container:NAME");
  const std::string_view name = text.substr(kContainer.size());
  if (!is_container_name(name))
    throw Error::make(Errc::invalid, "network '{}': '{}' is not a container name", printable(text),
                      printable(name))
        .with_hint("container:NAME joins the network of the running container NAME");
  return {.mode = NetworkMode::container, .container = std::string(name)};
}

}  // namespace lay::runner
