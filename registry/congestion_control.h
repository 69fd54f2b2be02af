#pragma once

#include <sys/socket.h>

namespace lay::registry {

/// Takes Reno for a connection within this machine (tcp(7), TCP_CONGESTION). A system's default may be BBR,
/// which paces what it sends by a timer for each packet: over a wire that keeps queues short, over loopback,
/// where there is no queue, it is most of the work of a transfer. Connections to other machines keep the
/// system's choice; where this cannot be changed, so do those within.
void choose_congestion_control(int socket, const sockaddr& peer);

}  // namespace lay::registry
