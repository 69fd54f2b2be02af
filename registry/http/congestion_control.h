#pragma once

#include <sys/socket.h>

#include <string>

namespace lay::registry {

/// Takes Reno for a connection within this machine (tcp(7), TCP_CONGESTION). A system's default may be BBR,
/// which paces what it sends by a timer for each packet: over a wire that keeps queues short, over loopback,
/// where there is no queue, it is most of the work of a transfer. Connections to other machines keep the
/// system's choice; where this cannot be changed, so do those within.
void choose_congestion_control(int socket, const sockaddr& peer);

/// Lets the connections that `listening` will accept begin with Reno: one that began with BBR keeps its
/// timers under another control too. Returns the system's choice, which those from other machines are to get
/// back.
std::string begin_unpaced(int listening);

/// Gives a connection that was accepted from another machine the system's choice, as begin_unpaced() told it.
void give_back_congestion_control(int accepted, const sockaddr& peer, const std::string& systems);

}  // namespace lay::registry
