#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "network/address.h"
#include "network/address6.h"
#include "network/leases.h"
#include "network/names.h"
#include "network/netlink.h"
#include "network/sender_rules.h"

/// Under which addresses containers may send: a table of the bridge family drops every frame of a container
/// that bears another MAC or IPv4 address than its own, ARP that speaks for others, and in IPv6 router
/// messages and what speaks for others' link-local addresses. A container that has CAP_NET_RAW could else be
/// taken for its neighbours or for the host.
namespace lay::runner {

struct Sender {
  std::string link;  ///< host's end of its veth
  MacAddress mac{};
  Ipv4 address;
  std::optional<Ipv6> address6 = {};
};

/// Of all who hold a lease.
std::vector<Sender> senders_of(const LeaseBook& leases);

/// Whether the table stands with all its rules, and nobody has flushed it.
bool has_sender_table(NetlinkSocket& socket, const std::string& table, Families families);
/// Replaces the table, or makes it, holding `senders`. False when this kernel has no nftables for bridges.
bool make_sender_table(NetlinkSocket& socket, const std::string& table, std::span<const Sender> senders,
                       Families families);
/// Absent is success.
void delete_sender_table(NetlinkSocket& socket, const std::string& table);

/// Requests that add the elements of a sender.
std::vector<NetlinkMessage> admit_sender(const std::string& table, const Sender& sender);
/// Whether the table has elements of others than `senders`.
bool has_stale_senders(NetlinkSocket& socket, const std::string& table, std::span<const Sender> senders);
/// Removes those. One transaction, which waits for a grace period (about 10 ms): not for the path of somebody
/// who waits.
void dismiss_stale_senders(NetlinkSocket& socket, const std::string& table, std::span<const Sender> senders);

}  // namespace lay::runner
