#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace lay::runner {

/// An IPv4 address in host byte order.
struct Ipv4 {
  std::uint32_t value = 0;

  auto operator<=>(const Ipv4&) const = default;
};

/// Four decimal numbers and nothing else; empty when it is not that.
std::optional<Ipv4> parse_ipv4(std::string_view text);
std::string to_string(Ipv4 address);
/// The four bytes in network order, as netlink attributes and nftables registers hold them.
std::array<std::uint8_t, 4> network_bytes(Ipv4 address);

/// A range of addresses: `address` with its host bits clear, and how many leading bits are fixed.
struct Subnet {
  Ipv4 address;
  unsigned prefix_length = 32;

  bool operator==(const Subnet&) const = default;

  std::uint32_t mask() const;
  bool contains(Ipv4 other) const;
  bool overlaps(const Subnet& other) const;
  /// The first host address: lay's bridge.
  Ipv4 gateway() const { return Ipv4{address.value + 1}; }
  /// How many containers fit: all but network, gateway and broadcast.
  std::uint32_t capacity() const { return ~mask() - 2; }
  /// The `index`-th container address, 0 <= index < capacity().
  Ipv4 host(std::uint32_t index) const { return Ipv4{address.value + 2 + index}; }
};

/// "10.99.0.0/16"; empty when malformed or when host bits are set.
std::optional<Subnet> parse_subnet(std::string_view text);
std::string to_string(const Subnet& subnet);

/// The first of lay's candidates that overlaps none of `used`; empty when all do. 10.88/16 and 10.89/16
/// (podman) and 172.17/16 to 172.31/16 (docker) are no candidates, used or not:
/// those tools may be started later.
std::optional<Subnet> choose_subnet(std::span<const Subnet> used);

}  // namespace lay::runner
