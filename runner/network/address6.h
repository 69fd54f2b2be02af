#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lay::runner {

/// An IPv6 address in network byte order.
struct Ipv6 {
  std::array<std::uint8_t, 16> bytes{};

  auto operator<=>(const Ipv6&) const = default;
};

/// RFC 4291 text and nothing else, no zone; empty when it is not that.
std::optional<Ipv6> parse_ipv6(std::string_view text);
/// RFC 5952.
std::string to_string(const Ipv6& address);

/// A range of addresses: `address` with its host bits clear, and how many leading bits are fixed.
struct Subnet6 {
  Ipv6 address;
  unsigned prefix_length = 128;

  Ipv6 mask() const;
  bool contains(const Ipv6& other) const;
  bool overlaps(const Subnet6& other) const;
  /// The address with `offset` in the host bits.
  Ipv6 host(std::uint32_t offset) const;
  Ipv6 gateway() const { return host(1); }
};

/// "fd00:1::/64"; empty when malformed or when host bits are set.
std::optional<Subnet6> parse_subnet6(std::string_view text);
std::string to_string(const Subnet6& subnet);

/// A unique local /64 (RFC 4193) of 40 random bits, which are `hex`, ten digits.
Subnet6 local_subnet6(std::string_view hex);
/// One chosen at random, as it should be: "fd12:3456:789a::/64".
std::string random_subnet6();

}  // namespace lay::runner
