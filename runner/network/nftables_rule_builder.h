#pragma once

#include <libmnl/libmnl.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <array>
#include <cstdint>
#include <memory>
#include <new>
#include <string>

#include "network/netlink.h"

/// How one rule becomes nftables' own expressions.
namespace lay::runner {

// Registers of 4 bytes (NFT_REG32_xx); a lookup reads its key, and writes its data, from the one given on
inline constexpr std::uint32_t kFirst = NFT_REG32_00;
inline constexpr std::uint32_t kSecond = NFT_REG32_01;
inline constexpr std::uint32_t kThird = NFT_REG32_02;

/// A link's name as the kernel compares it.
inline std::array<char, IFNAMSIZ> padded_link_name(const std::string& name) {
  std::array<char, IFNAMSIZ> padded{};
  name.copy(padded.data(), padded.size() - 1);
  return padded;
}

/// Collects the expressions of a rule, in the order in which the kernel evaluates them: one that does not
/// hold ends the rule.
class RuleBuilder {
 public:
  RuleBuilder(std::uint32_t family, const std::string& table, const std::string& chain)
      : family_(family), rule_(nftnl_rule_alloc(), nftnl_rule_free) {
    if (!rule_) throw std::bad_alloc();
    nftnl_rule_set_str(rule_.get(), NFTNL_RULE_TABLE, table.c_str());
    nftnl_rule_set_str(rule_.get(), NFTNL_RULE_CHAIN, chain.c_str());
    nftnl_rule_set_u32(rule_.get(), NFTNL_RULE_FAMILY, family);
  }

  void load_meta(std::uint32_t key, std::uint32_t target) {
    nftnl_expr* meta = append("meta");
    nftnl_expr_set_u32(meta, NFTNL_EXPR_META_KEY, key);
    nftnl_expr_set_u32(meta, NFTNL_EXPR_META_DREG, target);
  }

  void load_payload(std::uint32_t base, std::uint32_t offset, std::uint32_t length, std::uint32_t target) {
    nftnl_expr* payload = append("payload");
    nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_BASE, base);
    nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
    nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_LEN, length);
    nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_DREG, target);
  }

  void load_conntrack(std::uint32_t key) {
    nftnl_expr* conntrack = append("ct");
    nftnl_expr_set_u32(conntrack, NFTNL_EXPR_CT_KEY, key);
    nftnl_expr_set_u32(conntrack, NFTNL_EXPR_CT_DREG, kFirst);
  }

  template <class T>
  void compare(std::uint32_t operation, const T& value) {
    nftnl_expr* compare = append("cmp");
    nftnl_expr_set_u32(compare, NFTNL_EXPR_CMP_SREG, kFirst);
    nftnl_expr_set_u32(compare, NFTNL_EXPR_CMP_OP, operation);
    nftnl_expr_set(compare, NFTNL_EXPR_CMP_DATA, &value, sizeof value);
  }

  /// kFirst &= mask.
  template <class T>
  void mask(const T& mask) {
    const T zero{};
    nftnl_expr* bitwise = append("bitwise");
    nftnl_expr_set_u32(bitwise, NFTNL_EXPR_BITWISE_SREG, kFirst);
    nftnl_expr_set_u32(bitwise, NFTNL_EXPR_BITWISE_DREG, kFirst);
    nftnl_expr_set_u32(bitwise, NFTNL_EXPR_BITWISE_LEN, sizeof mask);
    nftnl_expr_set(bitwise, NFTNL_EXPR_BITWISE_MASK, &mask, sizeof mask);
    nftnl_expr_set(bitwise, NFTNL_EXPR_BITWISE_XOR, &zero, sizeof zero);
  }

  enum class Membership { inside, outside };
  /// Holds when the key that starts in kFirst is in `set`, or is not.
  void match_set(const char* set, Membership membership) {
    nftnl_expr* lookup = append("lookup");
    nftnl_expr_set_u32(lookup, NFTNL_EXPR_LOOKUP_SREG, kFirst);
    nftnl_expr_set_str(lookup, NFTNL_EXPR_LOOKUP_SET, set);
    if (membership == Membership::outside)
      nftnl_expr_set_u32(lookup, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
  }

  void match_link(std::uint32_t key, std::uint32_t operation, const std::string& name) {
    load_meta(key, kFirst);
    compare(operation, padded_link_name(name));
  }

  void match_conntrack_bits(std::uint32_t key, std::uint32_t bits) {
    load_conntrack(key);
    mask(bits);
    compare(NFT_CMP_NEQ, std::uint32_t{0});
  }

  /// The target is an address of this host.
  void match_local_target() {
    nftnl_expr* fib = append("fib");
    nftnl_expr_set_u32(fib, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
    nftnl_expr_set_u32(fib, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_DADDR);
    nftnl_expr_set_u32(fib, NFTNL_EXPR_FIB_DREG, kFirst);
    compare(NFT_CMP_EQ, std::uint32_t{RTN_LOCAL});
  }

  void masquerade() { append("masq"); }

  /// Looks the key that starts in kFirst up in `map`; a hit rewrites the target to what the map holds, whose
  /// port is in `port` then; a miss ends the rule.
  void redirect(const char* map, std::uint32_t port) {
    nftnl_expr* lookup = append("lookup");
    nftnl_expr_set_u32(lookup, NFTNL_EXPR_LOOKUP_SREG, kFirst);
    nftnl_expr_set_u32(lookup, NFTNL_EXPR_LOOKUP_DREG, kFirst);
    nftnl_expr_set_str(lookup, NFTNL_EXPR_LOOKUP_SET, map);
    nftnl_expr* nat = append("nat");
    nftnl_expr_set_u32(nat, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
    nftnl_expr_set_u32(nat, NFTNL_EXPR_NAT_FAMILY, family_);
    nftnl_expr_set_u32(nat, NFTNL_EXPR_NAT_REG_ADDR_MIN, kFirst);
    nftnl_expr_set_u32(nat, NFTNL_EXPR_NAT_REG_PROTO_MIN, port);
    nftnl_expr_set_u32(nat, NFTNL_EXPR_NAT_FLAGS, NF_NAT_RANGE_PROTO_SPECIFIED);
  }

  void verdict(std::uint32_t verdict) {
    nftnl_expr* immediate = append("immediate");
    nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
    nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_VERDICT, verdict);
  }

  /// Owned by the rule.
  nftnl_expr* append(const char* name) {
    nftnl_expr* expression = nftnl_expr_alloc(name);
    if (expression == nullptr) throw std::bad_alloc();
    nftnl_rule_add_expr(rule_.get(), expression);
    return expression;
  }

  NetlinkMessage finish(const std::string& chain) && {
    NetlinkMessage message(fmt::format("add a rule to nftables chain '{}'", chain), 0, 0);
    nlmsghdr* header =
        nftnl_nlmsg_build_hdr(reinterpret_cast<char*>(message.header()), NFT_MSG_NEWRULE,
                              static_cast<std::uint16_t>(family_), NLM_F_CREATE | NLM_F_APPEND, 0);
    nftnl_rule_nlmsg_build_payload(header, rule_.get());
    return message;
  }

 private:
  std::uint32_t family_;
  std::unique_ptr<nftnl_rule, void (*)(const nftnl_rule*)> rule_;
};

}  // namespace lay::runner
