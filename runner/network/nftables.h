#pragma once

#include <span>
#include <string>
#include <vector>

#include "network/netlink.h"
#include "network/nftables_ports.h"
#include "network/nftables_rules.h"
#include "runner/network.h"

/// lay's own nftables tables, by netlink(7) transactions: each function's changes
/// happen as a whole or not at all.
namespace lay::runner {

/// Whether the table stands with all its rules, and nobody has flushed it.
bool has_nat_table(NetlinkSocket& socket, const std::string& name, const NetworkPolicy& policy = {});
/// Replaces the table, or makes it, holding those of `ports` that are of IPv4.
void make_nat_table(NetlinkSocket& socket, const NatTable& table, std::span<const PublishedPort> ports);
/// Absent is success.
void delete_nat_table(NetlinkSocket& socket, const std::string& name);

enum class Published { yes, tables_missing };

/// Publishes `ports` in one transaction with `more`, requests to tables of other families: a second one would
/// wait 3 ms for the first. Changes nothing when those tables are not there. Throws busy when an element of
/// that key leads elsewhere already.
Published publish_ports(NetlinkSocket& socket, const std::string& table, std::span<const PublishedPort> ports,
                        std::span<const NetlinkMessage> more);
/// Elements that are not there are passed over. One transaction, because each one that deletes waits for a
/// grace period (about 16 ms).
void withdraw_ports(NetlinkSocket& socket, const std::string& table, std::span<const PublishedPort> ports);

}  // namespace lay::runner
