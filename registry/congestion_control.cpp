#include "congestion_control.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <string_view>

#include "address.h"

namespace lay::registry {

void choose_congestion_control(int socket, const sockaddr& peer) {
  constexpr std::string_view kReno = "reno";  // every kernel has it, and every user may choose it
  if (classify(peer) == AddressClass::loopback)
    ::setsockopt(socket, IPPROTO_TCP, TCP_CONGESTION, kReno.data(), kReno.size());
}

}  // namespace lay::registry
