#include "network/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace lay::runner {

std::optional<Ipv4> parse_ipv4(std::string_view text) {
  in_addr address{};
  if (::inet_pton(AF_INET, std::string(text).c_str(), &address) != 1) return std::nullopt;
  // inet_pton stops at a NUL byte, which a string_view may hold
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  return Ipv4{ntohl(address.s_addr)};
}

std::string to_string(Ipv4 address) {
  const auto bytes = network_bytes(address);
  return fmt::format("{}.{}.{}.{}", bytes[0], bytes[1], bytes[2], bytes[3]);
}

std::array<std::uint8_t, 4> network_bytes(Ipv4 address) {
  const auto byte = [&](unsigned shift) { return static_cast<std::uint8_t>(address.value >> shift); };
  return {byte(24), byte(16), byte(8), byte(0)};
}

std::uint32_t Subnet::mask() const {
  return prefix_length == 0 ? 0 : ~std::uint32_t{0} << (32 - prefix_length);
}

bool Subnet::contains(Ipv4 other) const {
  return (other.value & mask()) == address.value;
}

bool Subnet::overlaps(const Subnet& other) const {
  return prefix_length <= other.prefix_length ? contains(other.address) : other.contains(address);
}

std::optional<Subnet> parse_subnet(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::optional<Ipv4> address = parse_ipv4(text.substr(0, slash));
  const std::optional<std::uint64_t> length = parse_number(text.substr(slash + 1));
  if (!address || !length || *length > 32) return std::nullopt;
  const Subnet subnet{*address, static_cast<unsigned>(*length)};
  if ((subnet.address.value & ~subnet.mask()) != 0) return std::nullopt;
  return subnet;
}

std::string to_string(const Subnet& subnet) {
  return fmt::format("{}/{}", to_string(subnet.address), subnet.prefix_length);
}

std::optional<Subnet> choose_subnet(std::span<const Subnet> used) {
  const auto is_free = [&](const Subnet& candidate) {
    return std::none_of(used.begin(), used.end(),
                        [&](const Subnet& other) { return candidate.overlaps(other); });
  };
  for (std::uint32_t second = 99; second < 200; ++second)
    if (const Subnet candidate{Ipv4{(10U << 24) | (second << 16)}, 16}; is_free(candidate)) return candidate;
  // A machine whose 10/8 is one company-wide route
  for (std::uint32_t third = 99; third < 255; ++third)
    if (const Subnet candidate{Ipv4{(192U << 24) | (168U << 16) | (third << 8)}, 24}; is_free(candidate))
      return candidate;
  return std::nullopt;
}

}  // namespace lay::runner
