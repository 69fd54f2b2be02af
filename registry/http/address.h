#pragma once

#include <sys/socket.h>

#include <string>

namespace lay::registry {

/// How near an address is, in rising order. A registry may send lay to another host (a token server, a
/// storage backend) only if that is no nearer than the registry itself: otherwise a stranger's registry could
/// have lay call services that only this machine or this network can reach.
enum class AddressClass {
  global,
  internal,    ///< RFC 1918, RFC 6598 (100.64/10), fc00::/7
  loopback,    ///< 127/8, ::1
  link_local,  ///< 169.254/16 (cloud metadata), fe80::/10, unspecified, multicast: never a place to be sent
               ///< to
};

/// IPv4 inside IPv6 (::ffff:a.b.c.d) counts as that IPv4 address. Families other
/// than these two are link_local.
AddressClass classify(const sockaddr& address);
/// A literal, IPv6 without brackets; link_local when it is none.
AddressClass classify_literal(const std::string& ip);
/// "localhost", 127.0.0.0/8 or ::1 (with or without brackets), written as such: plain HTTP is allowed there.
bool is_loopback_host(const std::string& host);

}  // namespace lay::registry
