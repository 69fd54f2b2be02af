#include "network/sender_rules.h"

#include <arpa/inet.h>
#include <linux/icmpv6.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>

#include "network/nftables_rule_builder.h"

namespace lay::runner {

namespace {

// Where the parts of a key of kAddressSet lie
constexpr std::uint32_t kLinkRegister = NFT_REG32_00;
constexpr std::uint32_t kMacRegister = NFT_REG32_04;
constexpr std::uint32_t kAddressRegister = NFT_REG32_06;

// Offsets, bytes
constexpr std::uint32_t kFrameSource = 6;
constexpr std::uint32_t kFrameType = 12;
constexpr std::uint32_t kIpv4Source = 12;
constexpr std::uint32_t kArpSenderMac = 8;  // RFC 826, with addresses of 6 and 4 bytes
constexpr std::uint32_t kArpSenderAddress = 14;

constexpr std::uint32_t kIpv6Source = 8;
constexpr std::uint32_t kNeighbourTarget = 8;  // in a neighbour advertisement, RFC 4861
constexpr std::uint32_t kIpv6Length = 16;

constexpr std::uint8_t kRouterAdvertisement = 134;  // RFC 4861
constexpr std::uint8_t kNeighbourAdvertisement = 136;
constexpr std::uint8_t kRedirect = 137;

/// Hardware Ethernet, protocol IPv4, addresses of 6 and 4 bytes.
constexpr std::array<std::uint8_t, 6> kArpKind{0, 1, 8, 0, 6, 4};

using Membership = RuleBuilder::Membership;

void match_type(RuleBuilder& rule, std::uint16_t type) {
  rule.load_payload(NFT_PAYLOAD_LL_HEADER, kFrameType, 2, kFirst);
  rule.compare(NFT_CMP_EQ, htons(type));
}

void load_link_and_mac(RuleBuilder& rule) {
  rule.load_meta(NFT_META_IIFNAME, kLinkRegister);
  rule.load_payload(NFT_PAYLOAD_LL_HEADER, kFrameSource, ETH_ALEN, kMacRegister);
}

void match_icmpv6(RuleBuilder& rule, std::uint8_t type) {
  rule.load_meta(NFT_META_L4PROTO, kFirst);
  rule.compare(NFT_CMP_EQ, std::uint8_t{IPPROTO_ICMPV6});
  rule.load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1, kFirst);
  rule.compare(NFT_CMP_EQ, type);
}

void match_own_arp(RuleBuilder& rule) {
  rule.load_payload(NFT_PAYLOAD_NETWORK_HEADER, 0, kArpKind.size(), kFirst);
  rule.compare(NFT_CMP_EQ, kArpKind);
  rule.load_meta(NFT_META_IIFNAME, kLinkRegister);
  rule.load_payload(NFT_PAYLOAD_NETWORK_HEADER, kArpSenderMac, ETH_ALEN, kMacRegister);
  rule.load_payload(NFT_PAYLOAD_NETWORK_HEADER, kArpSenderAddress, 4, kAddressRegister);
  rule.match_set(kAddressSet, Membership::inside);
}

/// Holds when the IPv6 address there is one of fe80::/10 and not the sender's own.
void match_foreign_link_local(RuleBuilder& rule, std::uint32_t base, std::uint32_t offset) {
  constexpr std::array<std::uint8_t, 2> kPrefix{0xfe, 0x80};
  rule.load_payload(base, offset, kPrefix.size(), kFirst);
  rule.mask(std::array<std::uint8_t, 2>{0xff, 0xc0});
  rule.compare(NFT_CMP_EQ, kPrefix);
  load_link_and_mac(rule);
  rule.load_payload(base, offset, kIpv6Length, kAddressRegister);
  rule.match_set(kLinkLocalSet, Membership::outside);
}

void match_address6(RuleBuilder& rule, std::uint32_t base, std::uint32_t offset, Membership membership) {
  load_link_and_mac(rule);
  rule.load_payload(base, offset, kIpv6Length, kAddressRegister);
  rule.match_set(kLinkLocalSet, membership);
}

void add_match(RuleBuilder& rule, SenderMatch match) {
  switch (match) {
    case SenderMatch::unknown_link:
      rule.load_meta(NFT_META_IIFNAME, kLinkRegister);
      return rule.match_set(kLinkSet, Membership::outside);
    case SenderMatch::foreign_mac:
      load_link_and_mac(rule);
      return rule.match_set(kMacSet, Membership::outside);
    case SenderMatch::ipv4:
      return match_type(rule, ETH_P_IP);
    case SenderMatch::arp:
      return match_type(rule, ETH_P_ARP);
    case SenderMatch::ipv6:
      return match_type(rule, ETH_P_IPV6);
    case SenderMatch::own_address:
      load_link_and_mac(rule);
      rule.load_payload(NFT_PAYLOAD_NETWORK_HEADER, kIpv4Source, 4, kAddressRegister);
      return rule.match_set(kAddressSet, Membership::inside);
    case SenderMatch::own_arp:
      return match_own_arp(rule);
    case SenderMatch::foreign_link_local:
      return match_foreign_link_local(rule, NFT_PAYLOAD_NETWORK_HEADER, kIpv6Source);
    case SenderMatch::foreign_neighbour:
      match_icmpv6(rule, kNeighbourAdvertisement);
      return match_foreign_link_local(rule, NFT_PAYLOAD_TRANSPORT_HEADER, kNeighbourTarget);
    case SenderMatch::router_advertisement:
      return match_icmpv6(rule, kRouterAdvertisement);
    case SenderMatch::redirect:
      return match_icmpv6(rule, kRedirect);
    case SenderMatch::own_source6:
      return match_address6(rule, NFT_PAYLOAD_NETWORK_HEADER, kIpv6Source, Membership::inside);
    case SenderMatch::no_source6:
      rule.load_payload(NFT_PAYLOAD_NETWORK_HEADER, kIpv6Source, kIpv6Length, kFirst);
      return rule.compare(NFT_CMP_EQ, std::array<std::uint8_t, kIpv6Length>{});
    case SenderMatch::foreign_target6:
      match_icmpv6(rule, kNeighbourAdvertisement);
      return match_address6(rule, NFT_PAYLOAD_TRANSPORT_HEADER, kNeighbourTarget, Membership::outside);
  }
}

}  // namespace

std::vector<SenderRule> sender_rules(Families families) {
  using enum SenderMatch;
  using enum SenderVerdict;
  std::vector<SenderRule> rules{
      // Links of others, of another RUN, and of a container that is about to be admitted
      {{unknown_link}, accept},
      {{foreign_mac}, drop},
      {{ipv4, own_address}, accept},
      {{arp, own_arp}, accept},
      // Containers are no routers; that none is believed (accept_ra) is the second lock
      {{ipv6, router_advertisement}, drop},
      {{ipv6, redirect}, drop},
  };
  const std::vector<SenderRule> for_ipv6 =
      families == Families::both
          ? std::vector<SenderRule>{{{ipv6, foreign_target6}, drop},
                                    {{ipv6, own_source6}, accept},
                                    {{ipv6, no_source6}, accept}}
          : std::vector<SenderRule>{
                {{ipv6, foreign_link_local}, drop}, {{ipv6, foreign_neighbour}, drop}, {{ipv6}, accept}};
  rules.insert(rules.end(), for_ipv6.begin(), for_ipv6.end());
  // Spoofed addresses and ARP, and what could wrap them: VLAN tags, other protocols
  rules.push_back({{}, drop});
  return rules;
}

NetlinkMessage make_sender_rule(const std::string& table, const SenderRule& plan) {
  RuleBuilder rule(NFPROTO_BRIDGE, table, kSenderChain);
  for (const SenderMatch match : plan.matches) add_match(rule, match);
  rule.verdict(plan.verdict == SenderVerdict::accept ? NF_ACCEPT : NF_DROP);
  return std::move(rule).finish(kSenderChain);
}

}  // namespace lay::runner
