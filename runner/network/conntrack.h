#pragma once

#include <vector>

#include "network/address.h"
#include "network/address6.h"
#include "network/netlink.h"
#include "runner/network.h"

/// Flows that the kernel remembers (conntrack). NAT rules see the first packet of a flow only, and a UDP flow
/// lives as long as its client keeps sending: without this it would never notice that a port came or went.
namespace lay::runner {

/// Whether there is anything to forget for these ports: the kernel looks through all
/// its flows to find some (3 ms).
bool has_udp(const std::vector<PortMapping>& ports);
/// Forgets the UDP flows to these host ports that began before the ports were published. Call it afterwards.
void forget_unpublished_flows(NetlinkSocket& socket, const std::vector<PortMapping>& ports);
/// Forgets the UDP flows that published ports have led to `address`. Call it when they have been withdrawn.
void forget_flows_to(NetlinkSocket& socket, Ipv4 address);
void forget_flows_to(NetlinkSocket& socket, const Ipv6& address);

}  // namespace lay::runner
