#include "network/nftables_messages.h"

#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/rule.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <utility>

namespace lay::runner {

namespace {

NetlinkMessage table_message(const std::string& verb, const std::string& name, std::uint16_t type,
                             std::uint16_t family) {
  const auto table = own(nftnl_table_alloc(), nftnl_table_free);
  nftnl_table_set_str(table.get(), NFTNL_TABLE_NAME, name.c_str());
  const std::uint16_t flags = type == NFT_MSG_NEWTABLE ? NLM_F_CREATE : 0;
  NetlinkMessage message =
      begin_nft_message(fmt::format("{} nftables table '{}'", verb, name), type, flags, family);
  nftnl_table_nlmsg_build_payload(message.header(), table.get());
  return message;
}

}  // namespace

NetlinkMessage begin_nft_message(std::string what, std::uint16_t type, std::uint16_t flags,
                                 std::uint16_t family) {
  NetlinkMessage message(std::move(what), 0, 0);
  nftnl_nlmsg_build_hdr(reinterpret_cast<char*>(message.header()), type, family, flags, 0);
  return message;
}

std::vector<NetlinkMessage> transaction(std::vector<NetlinkMessage> requests) {
  requests.back().header()->nlmsg_flags |= NLM_F_ACK;
  NetlinkMessage begin("begin an nftables transaction", 0, 0);
  nftnl_batch_begin(reinterpret_cast<char*>(begin.header()), 0);
  NetlinkMessage end("end an nftables transaction", 0, 0);
  nftnl_batch_end(reinterpret_cast<char*>(end.header()), 0);
  requests.insert(requests.begin(), std::move(begin));
  requests.push_back(std::move(end));
  return requests;
}

std::size_t count_rules(NetlinkSocket& socket, const std::string& table, std::uint16_t family) {
  const auto filter = own(nftnl_rule_alloc(), nftnl_rule_free);
  nftnl_rule_set_str(filter.get(), NFTNL_RULE_TABLE, table.c_str());
  NetlinkMessage question =
      begin_nft_message(fmt::format("list nftables table '{}'", table), NFT_MSG_GETRULE, NLM_F_DUMP, family);
  nftnl_rule_nlmsg_build_payload(question.header(), filter.get());
  std::size_t rules = 0;
  socket.query(question, [&](const nlmsghdr&) { ++rules; });
  return rules;
}

std::vector<NetlinkMessage> renew_table(const std::string& name, std::uint16_t family) {
  std::vector<NetlinkMessage> requests = remove_table(name, family);
  requests.push_back(table_message("create", name, NFT_MSG_NEWTABLE, family));
  return requests;
}

std::vector<NetlinkMessage> remove_table(const std::string& name, std::uint16_t family) {
  std::vector<NetlinkMessage> requests;
  // Made first: removing one that is not there would fail, and the transaction with it
  requests.push_back(table_message("create", name, NFT_MSG_NEWTABLE, family));
  requests.push_back(table_message("remove", name, NFT_MSG_DELTABLE, family));
  return requests;
}

void append(std::vector<NetlinkMessage>& requests, std::vector<NetlinkMessage> more) {
  requests.insert(requests.end(), std::move_iterator(more.begin()), std::move_iterator(more.end()));
}

NetlinkMessage chain_message(const std::string& table, const ChainPlan& plan, std::uint16_t family) {
  const auto chain = own(nftnl_chain_alloc(), nftnl_chain_free);
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TABLE, table.c_str());
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_NAME, plan.name.c_str());
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TYPE, plan.type.c_str());
  nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_HOOKNUM, plan.hook);
  nftnl_chain_set_s32(chain.get(), NFTNL_CHAIN_PRIO, plan.priority);
  nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_POLICY, NF_ACCEPT);
  NetlinkMessage message = begin_nft_message(fmt::format("add nftables chain '{}'", plan.name),
                                             NFT_MSG_NEWCHAIN, NLM_F_CREATE, family);
  nftnl_chain_nlmsg_build_payload(message.header(), chain.get());
  return message;
}

}  // namespace lay::runner
