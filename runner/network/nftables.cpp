#include "network/nftables.h"

#include <linux/netfilter.h>

#include <cerrno>

#include "network/nftables_messages.h"

namespace lay::runner {

bool has_nat_table(NetlinkSocket& socket, const std::string& name, const NetworkPolicy& policy) {
  return count_rules(socket, name, NFPROTO_IPV4) == nat_rules(policy).size();
}

void make_nat_table(NetlinkSocket& socket, const NatTable& table, std::span<const PublishedPort> ports) {
  std::vector<NetlinkMessage> requests = renew_table(table.name, NFPROTO_IPV4);
  append(requests, map_messages(table.name, NFPROTO_IPV4));
  for (const ChainPlan& chain : nat_chains(table.policy.reach))
    requests.push_back(chain_message(table.name, chain, NFPROTO_IPV4));
  for (const RulePlan& rule : nat_rules(table.policy)) requests.push_back(make_rule(table, rule));
  append(requests, element_messages(table.name, ports_of(ports, NFPROTO_IPV4), ElementChange::add));
  socket.run(transaction(std::move(requests)));
}

void delete_nat_table(NetlinkSocket& socket, const std::string& name) {
  socket.run(transaction(remove_table(name, NFPROTO_IPV4)));
}

Published publish_ports(NetlinkSocket& socket, const std::string& table, std::span<const PublishedPort> ports,
                        std::span<const NetlinkMessage> more) {
  std::vector<NetlinkMessage> requests = element_messages(table, ports, ElementChange::add);
  requests.insert(requests.end(), more.begin(), more.end());
  if (requests.empty()) return Published::yes;
  const std::vector<NetlinkMessage> batch = transaction(std::move(requests));
  const std::optional<NetlinkFailure> failure = socket.try_run(batch);
  if (!failure) return Published::yes;
  const bool is_of_more = failure->index > ports.size();  // behind the begin mark
  if (is_of_more && failure->error_number == ENOENT) return Published::tables_missing;
  throw failure->error(batch[failure->index].what());
}

void withdraw_ports(NetlinkSocket& socket, const std::string& table, std::span<const PublishedPort> ports) {
  std::vector<PublishedPort> left(ports.begin(), ports.end());
  while (!left.empty()) {
    const std::vector<NetlinkMessage> batch =
        transaction(element_messages(table, left, ElementChange::remove));
    const std::optional<NetlinkFailure> failure = socket.try_run(batch);
    if (!failure) return;
    if (failure->error_number != ENOENT || failure->index == 0 || failure->index > left.size())
      throw failure->error(batch[failure->index].what());
    left.erase(left.begin() + static_cast<std::ptrdiff_t>(failure->index - 1));  // behind the begin mark
  }
}

}  // namespace lay::runner
