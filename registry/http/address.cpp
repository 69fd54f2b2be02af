#include "http/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstdint>
#include <cstring>

namespace lay::registry {

namespace {

AddressClass classify_ipv4(std::uint32_t ip) {  // host byte order
  const auto within = [&](std::uint32_t network, int bits) { return (ip ^ network) >> (32 - bits) == 0; };
  if (within(0x7f000000, 8)) return AddressClass::loopback;
  if (within(0x00000000, 8) || within(0xa9fe0000, 16) || ip >= 0xe0000000) return AddressClass::link_local;
  if (within(0x0a000000, 8) || within(0xac100000, 12) || within(0xc0a80000, 16) || within(0x64400000, 10))
    return AddressClass::internal;
  return AddressClass::global;
}

std::uint32_t ipv4_at(const in6_addr& ip, std::size_t offset) {
  std::uint32_t value = 0;
  std::memcpy(&value, &ip.s6_addr[offset], sizeof value);
  return ntohl(value);
}

AddressClass classify_ipv6(const in6_addr& ip) {
  if (IN6_IS_ADDR_V4MAPPED(&ip)) return classify_ipv4(ipv4_at(ip, 12));
  if (IN6_IS_ADDR_LOOPBACK(&ip)) return AddressClass::loopback;
  if (IN6_IS_ADDR_UNSPECIFIED(&ip) || IN6_IS_ADDR_LINKLOCAL(&ip) || IN6_IS_ADDR_MULTICAST(&ip))
    return AddressClass::link_local;
  if ((ip.s6_addr[0] & 0xfe) == 0xfc) return AddressClass::internal;
  // RFC 6052: NAT64 carries an IPv4 address in its last four bytes.
  static constexpr std::uint8_t kNat64[12] = {0x00, 0x64, 0xff, 0x9b};
  if (std::memcmp(ip.s6_addr, kNat64, sizeof kNat64) == 0) return classify_ipv4(ipv4_at(ip, 12));
  return AddressClass::global;
}

}  // namespace

AddressClass classify(const sockaddr& address) {
  // Copied, not cast: curl's buffer need not be aligned for the larger types.
  if (address.sa_family == AF_INET) {
    sockaddr_in ipv4{};
    std::memcpy(&ipv4, &address, sizeof ipv4);
    return classify_ipv4(ntohl(ipv4.sin_addr.s_addr));
  }
  if (address.sa_family == AF_INET6) {
    sockaddr_in6 ipv6{};
    std::memcpy(&ipv6, &address, sizeof ipv6);
    return classify_ipv6(ipv6.sin6_addr);
  }
  return AddressClass::link_local;
}

AddressClass classify_literal(const std::string& ip) {
  in_addr ipv4{};
  if (::inet_pton(AF_INET, ip.c_str(), &ipv4) == 1) return classify_ipv4(ntohl(ipv4.s_addr));
  in6_addr ipv6{};
  if (::inet_pton(AF_INET6, ip.c_str(), &ipv6) == 1) return classify_ipv6(ipv6);
  return AddressClass::link_local;
}

bool is_loopback_host(const std::string& host) {
  if (host == "localhost") return true;
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  return classify_literal(bracketed ? host.substr(1, host.size() - 2) : host) == AddressClass::loopback;
}

}  // namespace lay::registry
