#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "network/address.h"
#include "network/netlink.h"
#include "network/network_policy.h"

/// The rules of lay's table as plain values, and how they become nftables' own expressions.
namespace lay::runner {

/// The two maps that hold the published ports. A container adds and removes elements and never a rule, so
/// that a packet costs the same however many containers there are.
inline constexpr const char* kExactMap = "ports";         ///< protocol . address . port -> address . port
inline constexpr const char* kAnyMap = "ports_anywhere";  ///< protocol . port -> address . port

struct ChainPlan {
  std::string name;
  std::string type;  ///< "filter" or "nat"
  std::uint32_t hook = 0;
  std::int32_t priority = 0;
};

/// What a rule looks at, in the order of the checks.
enum class Match {
  from_bridge,
  not_from_bridge,
  to_bridge,
  not_to_bridge,
  source_subnet,
  source_loopback,
  target_loopback,
  target_metadata,
  target_local,   ///< an address of this host (fib)
  known_flow,     ///< conntrack: established or related
  published_flow  ///< conntrack: its target was rewritten by a published port
};
enum class Action { accept, drop, leave_chain, masquerade, redirect_exact, redirect_any };

struct RulePlan {
  std::string chain;
  std::vector<Match> matches;
  Action action = Action::accept;
};

std::vector<ChainPlan> nat_chains(Reach reach = Reach::everywhere);
/// In order; the reasons stand at each.
std::vector<RulePlan> nat_rules(const NetworkPolicy& policy = {});

/// What the rules refer to.
struct NatTable {
  std::string name;
  std::string bridge;
  Subnet subnet;
  NetworkPolicy policy = {};
};

/// The request that appends one rule to its chain.
NetlinkMessage make_rule(const NatTable& table, const RulePlan& plan);

}  // namespace lay::runner
