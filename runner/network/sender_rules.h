#pragma once

#include <string>
#include <vector>

#include "network/netlink.h"
#include "runner/network_store.h"

/// The rules of the table that judges senders, as plain values, and how they become nftables' expressions.
namespace lay::runner {

inline constexpr const char* kSenderChain = "senders";
inline constexpr const char* kLinkSet = "links";             ///< link: whose frames are judged
inline constexpr const char* kMacSet = "macs";               ///< link . MAC
inline constexpr const char* kAddressSet = "addresses";      ///< link . MAC . IPv4 address
inline constexpr const char* kLinkLocalSet = "link_locals";  ///< link . MAC . IPv6 address

/// What a rule looks at, in the order of the checks.
enum class SenderMatch {
  unknown_link,  ///< no container of this RUN
  foreign_mac,   ///< the frame's source is not the link's own
  ipv4,          ///< EtherType
  arp,           ///< for IPv4 over Ethernet
  ipv6,
  own_address,         ///< IPv4 source
  own_arp,             ///< both addresses of the ARP sender
  foreign_link_local,  ///< IPv6 source within fe80::/10 that is not its own
  foreign_neighbour,   ///< a neighbour advertisement for such an address
  router_advertisement,
  redirect,         ///< ICMPv6
  own_source6,      ///< one of its own IPv6 addresses
  no_source6,       ///< ::, of one that asks whether an address is free
  foreign_target6,  ///< a neighbour advertisement for an address that is not its own
};
enum class SenderVerdict { accept, drop };

struct SenderRule {
  std::vector<SenderMatch> matches;
  SenderVerdict verdict = SenderVerdict::drop;
};

/// In order; the reasons stand at each. On a network of IPv4 containers may have IPv6 addresses as they like,
/// and speak for any but link-local ones; on one that gives them some, they have those.
std::vector<SenderRule> sender_rules(Families families);

/// The request that appends one rule to the chain.
NetlinkMessage make_sender_rule(const std::string& table, const SenderRule& rule);

}  // namespace lay::runner
