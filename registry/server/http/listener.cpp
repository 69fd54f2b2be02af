#include "server/http/listener.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "http/address.h"
#include "http/congestion_control.h"

namespace lay::registry::server {

namespace {

constexpr int kBacklog = 4096;

[[noreturn]] void refuse(const std::string& text) {
  throw Error::make(Errc::invalid, "'{}' is no address to listen on", printable(text))
      .with_hint("--listen 127.0.0.1:5000, --listen [::1]:5000, or --listen 0.0.0.0:5000");
}

sockaddr_storage socket_address(const ListenAddress& wanted, socklen_t& length) {
  sockaddr_storage storage{};
  sockaddr_in ipv4{.sin_family = AF_INET, .sin_port = htons(wanted.port)};
  sockaddr_in6 ipv6{.sin6_family = AF_INET6, .sin6_port = htons(wanted.port)};
  if (::inet_pton(AF_INET, wanted.address.c_str(), &ipv4.sin_addr) == 1) {
    std::memcpy(&storage, &ipv4, length = sizeof ipv4);
  } else if (::inet_pton(AF_INET6, wanted.address.c_str(), &ipv6.sin6_addr) == 1) {
    std::memcpy(&storage, &ipv6, length = sizeof ipv6);
  } else {
    refuse(wanted.address);
  }
  return storage;
}

std::uint16_t port_of(const sockaddr_storage& storage) {
  sockaddr_in6 address{};  // the port is at the same place in both families
  std::memcpy(&address, &storage, sizeof address);
  return ntohs(address.sin6_port);
}

Error cannot_listen(const Listener& listener) {
  const int number = errno;
  Error error = Error::from_number(number, fmt::format("listen on {}", listener.authority()));
  if (number == EADDRINUSE)
    error.with_hint("something listens there already: choose another port with --listen");
  if (number == EACCES) error.with_hint("ports below 1024 are root's");
  if (number == EADDRNOTAVAIL) error.with_hint("this machine does not have that address");
  return error;
}

}  // namespace

std::string Listener::authority() const {
  return (address.find(':') == std::string::npos ? address : "[" + address + "]") + ":" +
         std::to_string(port);
}

ListenAddress parse_listen_address(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  std::string address = colon == std::string::npos ? "127.0.0.1" : text.substr(0, colon);
  const auto port = parse_number(colon == std::string::npos ? text : text.substr(colon + 1));
  if (!port || *port > 65535) refuse(text);
  if (address.empty()) address = "0.0.0.0";
  if (address == "localhost") address = "127.0.0.1";
  if (address.size() > 2 && address.front() == '[' && address.back() == ']')
    address = address.substr(1, address.size() - 2);
  else if (address.find(':') != std::string::npos)
    refuse(text);
  const ListenAddress result{.address = address, .port = static_cast<std::uint16_t>(*port)};
  socklen_t length = 0;
  socket_address(result, length);
  return result;
}

Listener listen_on(const ListenAddress& wanted) {
  socklen_t length = 0;
  sockaddr_storage storage = socket_address(wanted, length);
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  Listener listener{.address = wanted.address,
                    .port = wanted.port,
                    .is_loopback = classify(*address) == AddressClass::loopback};
  listener.socket = UniqueFd{::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (listener.socket) listener.system_control = begin_unpaced(listener.socket.get());
  const int on = 1;
  if (!listener.socket ||
      ::setsockopt(listener.socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(listener.socket.get(), address, length) != 0 || ::listen(listener.socket.get(), kBacklog) != 0 ||
      ::getsockname(listener.socket.get(), address, &length) != 0)
    throw cannot_listen(listener);
  listener.port = port_of(storage);
  return listener;
}

std::string format_address(const sockaddr& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.sa_family == AF_INET) {
    sockaddr_in ipv4{};
    std::memcpy(&ipv4, &address, sizeof ipv4);
    ::inet_ntop(AF_INET, &ipv4.sin_addr, text.data(), text.size());
    return fmt::format("{}:{}", text.data(), ntohs(ipv4.sin_port));
  }
  if (address.sa_family == AF_INET6) {
    sockaddr_in6 ipv6{};
    std::memcpy(&ipv6, &address, sizeof ipv6);
    ::inet_ntop(AF_INET6, &ipv6.sin6_addr, text.data(), text.size());
    return fmt::format("[{}]:{}", text.data(), ntohs(ipv6.sin6_port));
  }
  return "";
}

}  // namespace lay::registry::server
