#include "network/address6.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/syscalls.h"
#include "base/text.h"

namespace lay::runner {

std::optional<Ipv6> parse_ipv6(std::string_view text) {
  Ipv6 address;
  if (text.find('\0') != std::string_view::npos) return std::nullopt;  // where inet_pton stops
  if (::inet_pton(AF_INET6, std::string(text).c_str(), address.bytes.data()) != 1) return std::nullopt;
  return address;
}

std::string to_string(const Ipv6& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(AF_INET6, address.bytes.data(), text.data(), text.size());
  return text.data();
}

Ipv6 Subnet6::mask() const {
  Ipv6 mask;
  for (unsigned bit = 0; bit < prefix_length; ++bit)
    mask.bytes[bit / 8] = static_cast<std::uint8_t>(mask.bytes[bit / 8] | (0x80U >> (bit % 8)));
  return mask;
}

bool Subnet6::contains(const Ipv6& other) const {
  const Ipv6 fixed = mask();
  for (std::size_t i = 0; i < other.bytes.size(); ++i)
    if ((other.bytes[i] & fixed.bytes[i]) != address.bytes[i]) return false;
  return true;
}

bool Subnet6::overlaps(const Subnet6& other) const {
  return prefix_length <= other.prefix_length ? contains(other.address) : other.contains(address);
}

Ipv6 Subnet6::host(std::uint32_t offset) const {
  Ipv6 result = address;
  for (std::size_t i = 0; i < sizeof offset; ++i) {
    std::uint8_t& byte = result.bytes[result.bytes.size() - 1 - i];
    byte = static_cast<std::uint8_t>(byte | (offset >> (8 * i)));
  }
  return result;
}

std::optional<Subnet6> parse_subnet6(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::optional<Ipv6> address = parse_ipv6(text.substr(0, slash));
  const std::optional<std::uint64_t> length = parse_number(text.substr(slash + 1));
  if (!address || !length || *length > 128) return std::nullopt;
  Subnet6 subnet{*address, static_cast<unsigned>(*length)};
  if (!subnet.contains(*address)) return std::nullopt;
  return subnet;
}

std::string to_string(const Subnet6& subnet) {
  return fmt::format("{}/{}", to_string(subnet.address), subnet.prefix_length);
}

Subnet6 local_subnet6(std::string_view hex) {
  std::string text = "fd";
  for (std::size_t i = 0; i < hex.size(); ++i) {
    if (i == 2 || i == 6) text += ':';
    text += hex[i];
  }
  constexpr unsigned kLength = 64;
  return {parse_ipv6(text + "::").value_or(Ipv6{}), kLength};
}

std::string random_subnet6() {
  constexpr std::size_t kBytes = 5;  // the global id has 40 bits
  return to_string(local_subnet6(sys::random_hex(kBytes)));
}

}  // namespace lay::runner
