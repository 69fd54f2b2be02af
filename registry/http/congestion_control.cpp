#include "http/congestion_control.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <array>
#include <cstring>
#include <string_view>

#include "http/address.h"

namespace lay::registry {

namespace {

constexpr std::string_view kReno = "reno";  // every kernel has it, and every user may choose it

void set_control(int socket, std::string_view name) {
  ::setsockopt(socket, IPPROTO_TCP, TCP_CONGESTION, name.data(), static_cast<socklen_t>(name.size()));
}

std::string control_of(int socket) {
  std::array<char, 16> name{};  // TCP_CA_NAME_MAX
  socklen_t size = name.size();
  if (::getsockopt(socket, IPPROTO_TCP, TCP_CONGESTION, name.data(), &size) != 0) return {};
  return {name.data(), ::strnlen(name.data(), name.size())};
}

bool is_same_address(const sockaddr& one, const sockaddr& other) {
  if (one.sa_family != other.sa_family) return false;
  if (one.sa_family == AF_INET) {
    sockaddr_in a{};
    sockaddr_in b{};
    std::memcpy(&a, &one, sizeof a);
    std::memcpy(&b, &other, sizeof b);
    return a.sin_addr.s_addr == b.sin_addr.s_addr;
  }
  if (one.sa_family != AF_INET6) return false;
  sockaddr_in6 a{};
  sockaddr_in6 b{};
  std::memcpy(&a, &one, sizeof a);
  std::memcpy(&b, &other, sizeof b);
  return std::memcmp(&a.sin6_addr, &b.sin6_addr, sizeof a.sin6_addr) == 0;
}

/// Whether the peer is on this machine: what it sends to one of the machine's own addresses comes from that
/// address, by loopback.
bool is_from_here(int accepted, const sockaddr& peer) {
  if (classify(peer) == AddressClass::loopback) return true;
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  auto* const address = reinterpret_cast<sockaddr*>(&own);
  return ::getsockname(accepted, address, &size) == 0 && is_same_address(*address, peer);
}

}  // namespace

void choose_congestion_control(int socket, const sockaddr& peer) {
  if (classify(peer) == AddressClass::loopback) set_control(socket, kReno);
}

std::string begin_unpaced(int listening) {
  std::string systems = control_of(listening);
  set_control(listening, kReno);
  return systems;
}

void give_back_congestion_control(int accepted, const sockaddr& peer, const std::string& systems) {
  if (systems.empty() || systems == kReno || is_from_here(accepted, peer)) return;
  // Another one is that of the peer's route (ip-route(8), congctl), which goes before the system's.
  if (control_of(accepted) == kReno) set_control(accepted, systems);
}

}  // namespace lay::registry
