#include "network/nftables_rules.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter_ipv4.h>

#include "network/nftables_rule_builder.h"

namespace lay::runner {

namespace {

constexpr std::uint32_t kSourceOffset = 12;  // in the IPv4 header, RFC 791
constexpr std::uint32_t kTargetOffset = 16;
constexpr std::uint32_t kTargetPortOffset = 2;  // in the TCP and UDP header

const Subnet kLoopback{Ipv4{127U << 24}, 8};
const Subnet kMetadata{Ipv4{0xa9fea9fe}, 32};  // 169.254.169.254

class NatRuleBuilder : public RuleBuilder {
 public:
  NatRuleBuilder(const NatTable& table, const std::string& chain)
      : RuleBuilder(NFPROTO_IPV4, table.name, chain) {}

  void match_subnet(std::uint32_t offset, const Subnet& subnet) {
    load_payload(NFT_PAYLOAD_NETWORK_HEADER, offset, 4, kFirst);
    mask(network_bytes(Ipv4{subnet.mask()}));
    compare(NFT_CMP_EQ, network_bytes(subnet.address));
  }
};

void add_match(NatRuleBuilder& rule, const NatTable& table, Match match) {
  constexpr std::uint32_t kKnown =
      (1U << (IP_CT_ESTABLISHED % IP_CT_IS_REPLY + 1)) | (1U << (IP_CT_RELATED % IP_CT_IS_REPLY + 1));
  switch (match) {
    case Match::from_bridge:
      return rule.match_link(NFT_META_IIFNAME, NFT_CMP_EQ, table.bridge);
    case Match::not_from_bridge:
      return rule.match_link(NFT_META_IIFNAME, NFT_CMP_NEQ, table.bridge);
    case Match::to_bridge:
      return rule.match_link(NFT_META_OIFNAME, NFT_CMP_EQ, table.bridge);
    case Match::not_to_bridge:
      return rule.match_link(NFT_META_OIFNAME, NFT_CMP_NEQ, table.bridge);
    case Match::source_subnet:
      return rule.match_subnet(kSourceOffset, table.subnet);
    case Match::source_loopback:
      return rule.match_subnet(kSourceOffset, kLoopback);
    case Match::target_loopback:
      return rule.match_subnet(kTargetOffset, kLoopback);
    case Match::target_metadata:
      return rule.match_subnet(kTargetOffset, kMetadata);
    case Match::target_local:
      return rule.match_local_target();
    case Match::known_flow:
      return rule.match_conntrack_bits(NFT_CT_STATE, kKnown);
    case Match::published_flow:
      return rule.match_conntrack_bits(NFT_CT_STATUS, IPS_DST_NAT);
  }
}

void add_action(NatRuleBuilder& rule, Action action) {
  switch (action) {
    case Action::accept:
      return rule.verdict(NF_ACCEPT);
    case Action::drop:
      return rule.verdict(NF_DROP);
    case Action::leave_chain:
      return rule.verdict(static_cast<std::uint32_t>(NFT_RETURN));
    case Action::masquerade:
      return rule.masquerade();
    case Action::redirect_exact:
      rule.load_meta(NFT_META_L4PROTO, kFirst);
      rule.load_payload(NFT_PAYLOAD_NETWORK_HEADER, kTargetOffset, 4, kSecond);
      rule.load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, kTargetPortOffset, 2, kThird);
      return rule.redirect(kExactMap, kSecond);
    case Action::redirect_any:
      rule.load_meta(NFT_META_L4PROTO, kFirst);
      rule.load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, kTargetPortOffset, 2, kSecond);
      return rule.redirect(kAnyMap, kSecond);
  }
}

/// An internal network: its containers reach each other, which no rule of this family sees, and nothing else.
std::vector<RulePlan> internal_rules() {
  using enum Match;
  return {
      {"guard", {from_bridge, target_loopback}, Action::drop},
      // The host may ask its containers; they may not ask it, and so not its name server either
      {"host", {from_bridge, known_flow}, Action::accept},
      {"host", {from_bridge}, Action::drop},
      {"forward", {from_bridge, not_to_bridge}, Action::drop},
      {"forward", {to_bridge, not_from_bridge}, Action::drop},
  };
}

std::vector<RulePlan> rules_of(Reach reach) {
  using enum Match;
  if (reach == Reach::inside) return internal_rules();
  return {
      // route_localnet on the bridge would let containers talk to what listens on the host's loopback
      {"guard", {from_bridge, target_loopback}, Action::drop},
      // A port published on 127.0.0.1 is the host's alone: what arrives for it from outside is not rewritten,
      // and then refused by the kernel as an impossible target
      {"incoming", {target_loopback}, Action::leave_chain},
      {"incoming", {}, Action::redirect_exact},
      {"incoming", {target_local}, Action::redirect_any},
      {"local", {}, Action::redirect_exact},
      {"local", {target_local}, Action::redirect_any},
      // The way out; clients from outside keep their address
      {"outgoing", {source_subnet, not_to_bridge}, Action::masquerade},
      // The host itself by 127.0.0.1: a container could not answer that address
      {"outgoing", {to_bridge, source_loopback}, Action::masquerade},
      // A container that uses a published port: the answer has to come back the same way
      {"outgoing", {to_bridge, source_subnet, published_flow}, Action::masquerade},
      // From outside to a container only through a published port, also for one who routes to its address
      {"forward", {to_bridge, not_from_bridge, known_flow}, Action::accept},
      {"forward", {to_bridge, not_from_bridge, published_flow}, Action::accept},
      {"forward", {to_bridge, not_from_bridge}, Action::drop},
  };
}

}  // namespace

std::vector<ChainPlan> nat_chains(Reach reach) {
  if (reach == Reach::inside)
    return {{"guard", "filter", NF_INET_PRE_ROUTING, NF_IP_PRI_RAW},
            {"host", "filter", NF_INET_LOCAL_IN, NF_IP_PRI_FILTER},
            {"forward", "filter", NF_INET_FORWARD, NF_IP_PRI_FILTER}};
  return {{"guard", "filter", NF_INET_PRE_ROUTING, NF_IP_PRI_RAW},
          {"incoming", "nat", NF_INET_PRE_ROUTING, NF_IP_PRI_NAT_DST},
          {"local", "nat", NF_INET_LOCAL_OUT, NF_IP_PRI_NAT_DST},
          {"outgoing", "nat", NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC},
          {"forward", "filter", NF_INET_FORWARD, NF_IP_PRI_FILTER}};
}

std::vector<RulePlan> nat_rules(const NetworkPolicy& policy) {
  using enum Match;
  std::vector<RulePlan> rules = rules_of(policy.reach);
  if (policy.metadata == Metadata::blocked)
    rules.push_back({"guard", {from_bridge, target_metadata}, Action::drop});
  // What is isolated on the bridge may still ask the host to route it back to there
  if (policy.neighbours == Neighbours::apart) {
    rules.push_back({"forward", {from_bridge, to_bridge, published_flow}, Action::accept});
    rules.push_back({"forward", {from_bridge, to_bridge}, Action::drop});
  }
  return rules;
}

NetlinkMessage make_rule(const NatTable& table, const RulePlan& plan) {
  NatRuleBuilder rule(table, plan.chain);
  for (const Match match : plan.matches) add_match(rule, table, match);
  add_action(rule, plan.action);
  return std::move(rule).finish(plan.chain);
}

}  // namespace lay::runner
