#include "network/foreign_chains.h"

#include <fmt/format.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <net/if.h>

#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <new>

namespace lay::runner {

namespace {

template <class T>
std::unique_ptr<T, void (*)(const T*)> own(T* object, void (*release)(const T*)) {
  if (object == nullptr) throw std::bad_alloc();
  return {object, release};
}

NetlinkMessage dump_of(const char* what, std::uint16_t type, std::uint16_t family) {
  NetlinkMessage question(what, 0, 0);
  nftnl_nlmsg_build_hdr(reinterpret_cast<char*>(question.header()), type, family, NLM_F_DUMP, 0);
  return question;
}

struct ForwardChain {
  std::uint32_t family = 0;
  std::string family_name;
  std::string table;
  std::string name;
  bool drops_by_policy = false;
};

/// Empty for a family whose chains get none of the packets.
const char* name_of_family(std::uint32_t family, Families families) {
  if (family == NFPROTO_IPV4) return "ip";
  if (family == NFPROTO_INET) return "inet";
  return family == NFPROTO_IPV6 && families == Families::both ? "ip6" : "";
}

std::vector<ForwardChain> forward_chains(NetlinkSocket& socket, const std::string& own_table,
                                         Families families) {
  std::vector<ForwardChain> found;
  socket.query(
      dump_of("list the nftables chains", NFT_MSG_GETCHAIN, NFPROTO_UNSPEC), [&](const auto& message) {
        const auto chain = own(nftnl_chain_alloc(), nftnl_chain_free);
        if (nftnl_chain_nlmsg_parse(&message, chain.get()) < 0 ||
            !nftnl_chain_is_set(chain.get(), NFTNL_CHAIN_HOOKNUM) ||
            nftnl_chain_get_u32(chain.get(), NFTNL_CHAIN_HOOKNUM) != NF_INET_FORWARD)
          return;
        const std::uint32_t family = nftnl_chain_get_u32(chain.get(), NFTNL_CHAIN_FAMILY);
        const std::string table = nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_TABLE);
        const char* const family_name = name_of_family(family, families);
        if (*family_name == '\0' || table == own_table) return;
        found.push_back({.family = family,
                         .family_name = family_name,
                         .table = table,
                         .name = nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_NAME),
                         .drops_by_policy = nftnl_chain_get_u32(chain.get(), NFTNL_CHAIN_POLICY) == NF_DROP});
      });
  return found;
}

/// What matters here of one rule.
struct RuleView {
  bool is_conditional = false;
  bool accepts = false;
  bool drops = false;
  bool knows_in = false;   ///< it asks for packets that came in by the bridge
  bool knows_out = false;  ///< … that go out by it
};

/// Whether a comparison of a link's name holds for `bridge`: "lay0" with its NUL, or the beginning of a name
/// ("lay*").
bool matches_link(const nftnl_expr* compare, const std::string& bridge) {
  std::uint32_t length = 0;
  const void* data = nftnl_expr_get(compare, NFTNL_EXPR_CMP_DATA, &length);
  std::array<char, IFNAMSIZ> padded{};
  bridge.copy(padded.data(), padded.size() - 1);
  return nftnl_expr_get_u32(compare, NFTNL_EXPR_CMP_OP) == NFT_CMP_EQ && data != nullptr && length > 0 &&
         length <= padded.size() && std::memcmp(data, padded.data(), length) == 0;
}

/// Reads the expressions of a rule in order; `key` is what the last "meta" has loaded.
class RuleReader {
 public:
  explicit RuleReader(const std::string& bridge) : bridge_(bridge) {}

  void read(const nftnl_expr* expression) {
    const std::string_view name = nftnl_expr_get_str(expression, NFTNL_EXPR_NAME);
    if (name == "meta") {
      key_ = nftnl_expr_get_u32(expression, NFTNL_EXPR_META_KEY);
    } else if (name == "cmp") {
      read_comparison(expression);
    } else if (name == "immediate") {
      if (!nftnl_expr_is_set(expression, NFTNL_EXPR_IMM_VERDICT)) return;
      const std::uint32_t verdict = nftnl_expr_get_u32(expression, NFTNL_EXPR_IMM_VERDICT);
      view_.accepts = verdict == NF_ACCEPT;
      view_.drops = view_.drops || verdict == NF_DROP;
    } else if (name == "reject") {
      view_.drops = true;
    } else if (name != "counter" && name != "log") {
      view_.is_conditional = true;
    }
  }
  const RuleView& view() const { return view_; }

 private:
  void read_comparison(const nftnl_expr* compare) {
    view_.is_conditional = true;
    if (!matches_link(compare, bridge_)) return;
    if (key_ == NFT_META_IIFNAME) view_.knows_in = true;
    if (key_ == NFT_META_OIFNAME) view_.knows_out = true;
  }

  const std::string& bridge_;
  std::uint32_t key_ = ~0U;
  RuleView view_;
};

RuleView view_of(nftnl_rule& rule, const std::string& bridge) {
  RuleReader reader(bridge);
  const auto read = [](nftnl_expr* expression, void* data) {
    static_cast<RuleReader*>(data)->read(expression);
    return 0;
  };
  nftnl_expr_foreach(&rule, read, &reader);
  return reader.view();
}

/// What the rules of one table do to packets of the bridge.
struct TableView {
  bool accepts_in = false;
  bool accepts_out = false;
  std::map<std::string, RuleView> last_rules;  ///< by chain
};

TableView view_of_table(NetlinkSocket& socket, const ForwardChain& chain, const std::string& bridge) {
  const auto filter = own(nftnl_rule_alloc(), nftnl_rule_free);
  nftnl_rule_set_str(filter.get(), NFTNL_RULE_TABLE, chain.table.c_str());
  NetlinkMessage question =
      dump_of("list the rules of another tool", NFT_MSG_GETRULE, static_cast<std::uint16_t>(chain.family));
  nftnl_rule_nlmsg_build_payload(question.header(), filter.get());
  TableView table;
  socket.query(question, [&](const nlmsghdr& message) {
    const auto rule = own(nftnl_rule_alloc(), nftnl_rule_free);
    if (nftnl_rule_nlmsg_parse(&message, rule.get()) < 0) return;
    const RuleView view = view_of(*rule, bridge);
    table.accepts_in = table.accepts_in || (view.accepts && view.knows_in);
    table.accepts_out = table.accepts_out || (view.accepts && view.knows_out);
    table.last_rules[nftnl_rule_get_str(rule.get(), NFTNL_RULE_CHAIN)] = view;
  });
  return table;
}

}  // namespace

std::vector<std::string> dropping_forward_chains(NetlinkSocket& socket, const NetworkNames& names,
                                                 Families families) {
  std::vector<std::string> found;
  for (const ForwardChain& chain : forward_chains(socket, names.table, families)) {
    const TableView table = view_of_table(socket, chain, names.bridge);
    const auto last = table.last_rules.find(chain.name);
    const bool drops_at_last =
        last != table.last_rules.end() && last->second.drops && !last->second.is_conditional;
    if ((!chain.drops_by_policy && !drops_at_last) || (table.accepts_in && table.accepts_out)) continue;
    found.push_back(fmt::format("{} {} {}", chain.family_name, chain.table, chain.name));
  }
  return found;
}

std::vector<std::string> notes_on_foreign_chains(NetlinkSocket& socket, const NetworkNames& names,
                                                 Families families) {
  std::vector<std::string> notes;
  for (const std::string& chain : dropping_forward_chains(socket, names, families))
    notes.push_back(
        fmt::format("nftables chain '{0}' of another tool drops what it does not know: containers reach this "
                    "machine only, "
                    "and other machines do not reach published ports; allow it: nft insert rule {0} iifname "
                    "{1} accept; nft "
                    "insert rule {0} oifname {1} accept",
                    chain, names.bridge));
  return notes;
}

}  // namespace lay::runner
