#include "network/nftables_ipv6.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter_ipv6.h>

#include <cerrno>
#include <vector>

#include "network/nftables_messages.h"
#include "network/nftables_rule_builder.h"

namespace lay::runner {

namespace {

constexpr std::uint32_t kSourceOffset = 8;  // in the IPv6 header, RFC 8200

enum class Match6 {
  from_bridge,
  not_from_bridge,
  to_bridge,
  not_to_bridge,
  source_subnet,
  known_flow,
  solicitation,  ///< of a neighbour: what ARP is to IPv4
  advertisement
};
enum class Action6 { accept, drop, masquerade };

struct Rule6 {
  const char* chain;
  std::vector<Match6> matches;
  Action6 action;
};

std::vector<ChainPlan> chains(Reach reach) {
  const ChainPlan forward{"forward", "filter", NF_INET_FORWARD, NF_IP6_PRI_FILTER};
  if (reach == Reach::inside) return {{"host", "filter", NF_INET_LOCAL_IN, NF_IP6_PRI_FILTER}, forward};
  return {{"outgoing", "nat", NF_INET_POST_ROUTING, NF_IP6_PRI_NAT_SRC}, forward};
}

std::vector<Rule6> rules(Reach reach) {
  using enum Match6;
  if (reach == Reach::inside)
    return {
        // The host may ask its containers; they may not ask it
        {"host", {from_bridge, solicitation}, Action6::accept},
        {"host", {from_bridge, advertisement}, Action6::accept},
        {"host", {from_bridge, known_flow}, Action6::accept},
        {"host", {from_bridge}, Action6::drop},
        {"forward", {from_bridge, not_to_bridge}, Action6::drop},
        {"forward", {to_bridge, not_from_bridge}, Action6::drop},
    };
  return {
      {"outgoing", {source_subnet, not_to_bridge}, Action6::masquerade},
      {"forward", {to_bridge, not_from_bridge, known_flow}, Action6::accept},
      {"forward", {to_bridge, not_from_bridge}, Action6::drop},
  };
}

void match_link(RuleBuilder& rule, std::uint32_t key, std::uint32_t operation, const std::string& name) {
  rule.load_meta(key, kFirst);
  rule.compare(operation, padded_link_name(name));
}

void match_icmp(RuleBuilder& rule, std::uint8_t type) {
  rule.load_meta(NFT_META_L4PROTO, kFirst);
  rule.compare(NFT_CMP_EQ, std::uint8_t{IPPROTO_ICMPV6});
  rule.load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1, kFirst);
  rule.compare(NFT_CMP_EQ, type);
}

void add_match(RuleBuilder& rule, const Ipv6Table& table, Match6 match) {
  constexpr std::uint32_t kKnown =
      (1U << (IP_CT_ESTABLISHED % IP_CT_IS_REPLY + 1)) | (1U << (IP_CT_RELATED % IP_CT_IS_REPLY + 1));
  constexpr std::uint8_t kSolicitation = 135;  // RFC 4861
  constexpr std::uint8_t kAdvertisement = 136;
  switch (match) {
    case Match6::from_bridge:
      return match_link(rule, NFT_META_IIFNAME, NFT_CMP_EQ, table.bridge);
    case Match6::not_from_bridge:
      return match_link(rule, NFT_META_IIFNAME, NFT_CMP_NEQ, table.bridge);
    case Match6::to_bridge:
      return match_link(rule, NFT_META_OIFNAME, NFT_CMP_EQ, table.bridge);
    case Match6::not_to_bridge:
      return match_link(rule, NFT_META_OIFNAME, NFT_CMP_NEQ, table.bridge);
    case Match6::source_subnet:
      rule.load_payload(NFT_PAYLOAD_NETWORK_HEADER, kSourceOffset, sizeof(Ipv6), kFirst);
      rule.mask(table.subnet.mask().bytes);
      return rule.compare(NFT_CMP_EQ, table.subnet.address.bytes);
    case Match6::known_flow:
      rule.load_conntrack(NFT_CT_STATE);
      rule.mask(kKnown);
      return rule.compare(NFT_CMP_NEQ, std::uint32_t{0});
    case Match6::solicitation:
      return match_icmp(rule, kSolicitation);
    case Match6::advertisement:
      return match_icmp(rule, kAdvertisement);
  }
}

NetlinkMessage make_rule(const Ipv6Table& table, const Rule6& plan) {
  RuleBuilder rule(NFPROTO_IPV6, table.name, plan.chain);
  for (const Match6 match : plan.matches) add_match(rule, table, match);
  if (plan.action == Action6::masquerade)
    rule.append("masq");
  else
    rule.verdict(plan.action == Action6::accept ? NF_ACCEPT : NF_DROP);
  return std::move(rule).finish(plan.chain);
}

}  // namespace

bool has_ipv6_table(NetlinkSocket& socket, const Ipv6Table& table) {
  return count_rules(socket, table.name, NFPROTO_IPV6) == rules(table.reach).size();
}

void make_ipv6_table(NetlinkSocket& socket, const Ipv6Table& table) {
  std::vector<NetlinkMessage> requests = renew_table(table.name, NFPROTO_IPV6);
  for (const ChainPlan& chain : chains(table.reach))
    requests.push_back(chain_message(table.name, chain, NFPROTO_IPV6));
  for (const Rule6& rule : rules(table.reach)) requests.push_back(make_rule(table, rule));
  socket.run(transaction(std::move(requests)));
}

void delete_ipv6_table(NetlinkSocket& socket, const std::string& name) {
  const std::vector<NetlinkMessage> batch = transaction(remove_table(name, NFPROTO_IPV6));
  const std::optional<NetlinkFailure> failure = socket.try_run(batch);
  const bool is_without_ipv6 =
      failure && (failure->error_number == EOPNOTSUPP || failure->error_number == EAFNOSUPPORT ||
                  failure->error_number == EPROTONOSUPPORT);
  if (failure && !is_without_ipv6) throw failure->error(batch[failure->index].what());
}

}  // namespace lay::runner
