#pragma once

#include <cstdint>
#include <string>

#include "base/unique_fd.h"

struct sockaddr;

namespace lay::registry::server {

/// A socket that listens, and where.
struct Listener {
  UniqueFd socket;
  std::string address;  ///< "127.0.0.1", "::1"
  std::uint16_t port = 0;
  bool is_loopback = false;
  std::string system_control = {};  ///< for connections from elsewhere (begin_unpaced)

  /// "127.0.0.1:5000", "[::1]:5000".
  std::string authority() const;
};

/// "ADDRESS:PORT", "[ADDRESS]:PORT", ":PORT" (every address) or "PORT" (127.0.0.1), taken apart.
struct ListenAddress {
  std::string address;
  std::uint16_t port = 0;

  bool operator==(const ListenAddress&) const = default;
};

/// Throws invalid.
ListenAddress parse_listen_address(const std::string& text);

/// Listens there; port 0 is any free one. Throws busy or denied, with what to do.
Listener listen_on(const ListenAddress& wanted);

/// "192.0.2.1:40000"; empty for what is no IP address.
std::string format_address(const sockaddr& address);

}  // namespace lay::registry::server
