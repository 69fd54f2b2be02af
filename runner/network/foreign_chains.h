#pragma once

#include <string>
#include <vector>

#include "network/names.h"
#include "network/netlink.h"
#include "network/sender_rules.h"

/// What other tools' nftables chains do to packets of containers. lay reads them and touches none.
namespace lay::runner {

/// Chains of other tables, as "ip filter FORWARD", that drop forwarded packets which they do not know,
/// by policy or by a last rule without a condition, while no rule of their table accepts both what comes from
/// the bridge and what goes to it. No rule of ours can overrule them. `families` are those of the network.
std::vector<std::string> dropping_forward_chains(NetlinkSocket& socket, const NetworkNames& names,
                                                 Families families);

/// A line for the user for each of them, with what to do.
std::vector<std::string> notes_on_foreign_chains(NetlinkSocket& socket, const NetworkNames& names,
                                                 Families families);

}  // namespace lay::runner
