#include "network/nftables_ipv6.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter_ipv6.h>

#include <cerrno>
#include <vector>

#include "network/host_sysctl.h"
#include "network/nftables_messages.h"
#include "network/nftables_rule_builder.h"

namespace lay::runner {

namespace {

constexpr std::uint32_t kSourceOffset = 8;  // in the IPv6 header, RFC 8200
constexpr std::uint32_t kTargetOffset = 24;
constexpr std::uint32_t kTargetPortOffset = 2;  // in the TCP and UDP header

// An address fills four registers
constexpr std::uint32_t kBehindAddress = NFT_REG32_04;
constexpr std::uint32_t kBehindKeyAddress = NFT_REG32_05;

/// Where Amazon's machines have by IPv6 what others have at 169.254.169.254 alone.
const Subnet6 kMetadata{{{0xfd, 0, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54}}, 128};
const Subnet6 kLoopback{{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}}, 128};

enum class Match6 {
  from_bridge,
  not_from_bridge,
  to_bridge,
  not_to_bridge,
  source_subnet,
  source_loopback,
  target_loopback,
  target_metadata,
  target_local,
  known_flow,
  published_flow,
  solicitation,  ///< of a neighbour: what ARP is to IPv4
  advertisement
};
enum class Action6 { accept, drop, leave_chain, masquerade, redirect_exact, redirect_any };

struct Rule6 {
  const char* chain;
  std::vector<Match6> matches;
  Action6 action;
};

std::vector<ChainPlan> chains(const NetworkPolicy& policy) {
  std::vector<ChainPlan> chains{{"forward", "filter", NF_INET_FORWARD, NF_IP6_PRI_FILTER}};
  if (policy.metadata == Metadata::blocked)
    chains.push_back({"guard", "filter", NF_INET_PRE_ROUTING, NF_IP6_PRI_RAW});
  const std::vector<ChainPlan> of_reach =
      policy.reach == Reach::inside
          ? std::vector<ChainPlan>{{"host", "filter", NF_INET_LOCAL_IN, NF_IP6_PRI_FILTER}}
          : std::vector<ChainPlan>{{"incoming", "nat", NF_INET_PRE_ROUTING, NF_IP6_PRI_NAT_DST},
                                   {"local", "nat", NF_INET_LOCAL_OUT, NF_IP6_PRI_NAT_DST},
                                   {"outgoing", "nat", NF_INET_POST_ROUTING, NF_IP6_PRI_NAT_SRC}};
  chains.insert(chains.end(), of_reach.begin(), of_reach.end());
  return chains;
}

/// As those of IPv4, nftables_rules.cpp, where the reasons stand. No packet for ::1 comes by a link, so there
/// is nothing to guard.
std::vector<Rule6> rules_of_reach(const Ipv6Table& table) {
  using enum Match6;
  if (table.policy.reach == Reach::inside)
    return {
        // The host may ask its containers; they may not ask it
        {"host", {from_bridge, solicitation}, Action6::accept},
        {"host", {from_bridge, advertisement}, Action6::accept},
        {"host", {from_bridge, known_flow}, Action6::accept},
        {"host", {from_bridge}, Action6::drop},
        {"forward", {from_bridge, not_to_bridge}, Action6::drop},
        {"forward", {to_bridge, not_from_bridge}, Action6::drop},
    };
  std::vector<Rule6> rules;
  if (table.loopback == HostLoopback6::left_alone)
    rules.push_back({"local", {target_loopback}, Action6::leave_chain});
  const std::vector<Rule6> others{
      {"incoming", {}, Action6::redirect_exact},
      {"incoming", {target_local}, Action6::redirect_any},
      {"local", {}, Action6::redirect_exact},
      {"local", {target_local}, Action6::redirect_any},
      {"outgoing", {source_subnet, not_to_bridge}, Action6::masquerade},
      {"outgoing", {to_bridge, source_loopback}, Action6::masquerade},
      {"outgoing", {to_bridge, source_subnet, published_flow}, Action6::masquerade},
      {"forward", {to_bridge, not_from_bridge, known_flow}, Action6::accept},
      {"forward", {to_bridge, not_from_bridge, published_flow}, Action6::accept},
      {"forward", {to_bridge, not_from_bridge}, Action6::drop},
  };
  rules.insert(rules.end(), others.begin(), others.end());
  return rules;
}

std::vector<Rule6> rules(const Ipv6Table& table) {
  using enum Match6;
  std::vector<Rule6> rules = rules_of_reach(table);
  if (table.policy.metadata == Metadata::blocked)
    rules.push_back({"guard", {from_bridge, target_metadata}, Action6::drop});
  if (table.policy.neighbours == Neighbours::apart) {
    rules.push_back({"forward", {from_bridge, to_bridge, published_flow}, Action6::accept});
    rules.push_back({"forward", {from_bridge, to_bridge}, Action6::drop});
  }
  return rules;
}

void match_subnet(RuleBuilder& rule, std::uint32_t offset, const Subnet6& subnet) {
  rule.load_payload(NFT_PAYLOAD_NETWORK_HEADER, offset, sizeof(Ipv6), kFirst);
  rule.mask(subnet.mask().bytes);
  rule.compare(NFT_CMP_EQ, subnet.address.bytes);
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
      return rule.match_link(NFT_META_IIFNAME, NFT_CMP_EQ, table.bridge);
    case Match6::not_from_bridge:
      return rule.match_link(NFT_META_IIFNAME, NFT_CMP_NEQ, table.bridge);
    case Match6::to_bridge:
      return rule.match_link(NFT_META_OIFNAME, NFT_CMP_EQ, table.bridge);
    case Match6::not_to_bridge:
      return rule.match_link(NFT_META_OIFNAME, NFT_CMP_NEQ, table.bridge);
    case Match6::source_subnet:
      return match_subnet(rule, kSourceOffset, table.subnet);
    case Match6::source_loopback:
      return match_subnet(rule, kSourceOffset, kLoopback);
    case Match6::target_loopback:
      return match_subnet(rule, kTargetOffset, kLoopback);
    case Match6::target_metadata:
      return match_subnet(rule, kTargetOffset, kMetadata);
    case Match6::target_local:
      return rule.match_local_target();
    case Match6::known_flow:
      return rule.match_conntrack_bits(NFT_CT_STATE, kKnown);
    case Match6::published_flow:
      return rule.match_conntrack_bits(NFT_CT_STATUS, IPS_DST_NAT);
    case Match6::solicitation:
      return match_icmp(rule, kSolicitation);
    case Match6::advertisement:
      return match_icmp(rule, kAdvertisement);
  }
}

void add_action(RuleBuilder& rule, Action6 action) {
  switch (action) {
    case Action6::accept:
      return rule.verdict(NF_ACCEPT);
    case Action6::drop:
      return rule.verdict(NF_DROP);
    case Action6::leave_chain:
      return rule.verdict(static_cast<std::uint32_t>(NFT_RETURN));
    case Action6::masquerade:
      return rule.masquerade();
    case Action6::redirect_exact:
      rule.load_meta(NFT_META_L4PROTO, kFirst);
      rule.load_payload(NFT_PAYLOAD_NETWORK_HEADER, kTargetOffset, sizeof(Ipv6), kSecond);
      rule.load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, kTargetPortOffset, 2, kBehindKeyAddress);
      return rule.redirect(kExactMap, kBehindAddress);
    case Action6::redirect_any:
      rule.load_meta(NFT_META_L4PROTO, kFirst);
      rule.load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, kTargetPortOffset, 2, kSecond);
      return rule.redirect(kAnyMap, kBehindAddress);
  }
}

NetlinkMessage make_rule(const Ipv6Table& table, const Rule6& plan) {
  RuleBuilder rule(NFPROTO_IPV6, table.name, plan.chain);
  for (const Match6 match : plan.matches) add_match(rule, table, match);
  add_action(rule, plan.action);
  return std::move(rule).finish(plan.chain);
}

}  // namespace

HostLoopback6 host_loopback6() {
  return read_setting("bridge/bridge-nf-call-ip6tables") == "1" ? HostLoopback6::left_alone
                                                                : HostLoopback6::served;
}

bool has_ipv6_table(NetlinkSocket& socket, const Ipv6Table& table) {
  return count_rules(socket, table.name, NFPROTO_IPV6) == rules(table).size();
}

void make_ipv6_table(NetlinkSocket& socket, const Ipv6Table& table, std::span<const PublishedPort> ports) {
  std::vector<NetlinkMessage> requests = renew_table(table.name, NFPROTO_IPV6);
  if (table.policy.reach == Reach::everywhere) append(requests, map_messages(table.name, NFPROTO_IPV6));
  for (const ChainPlan& chain : chains(table.policy))
    requests.push_back(chain_message(table.name, chain, NFPROTO_IPV6));
  for (const Rule6& rule : rules(table)) requests.push_back(make_rule(table, rule));
  append(requests, element_messages(table.name, ports_of(ports, NFPROTO_IPV6), ElementChange::add));
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
