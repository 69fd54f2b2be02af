#pragma once

#include <optional>
#include <string>
#include <vector>

#include "network/leases.h"
#include "network/names.h"
#include "network/netlink_route.h"
#include "network/network_policy.h"
#include "runner/network_store.h"

/// What all containers of one RUN share: the bridge and the nftables table. Called under LeaseBook::lock().
namespace lay::runner {

struct Bridge {
  Link link;
  Subnet subnet;
  Ipv4 gateway;
  bool is_new = false;  ///< made just now
  /// One-line remarks for the user, when something on the host was changed or stands in the way.
  std::vector<std::string> notes;
};

/// How the bridge of a network that users made shall be.
struct BridgeWish {
  std::optional<Subnet> subnet = {};  ///< empty: lay chooses
  std::optional<Ipv4> gateway = {};   ///< empty: the subnet's first address
  std::optional<Subnet6> subnet6 = {};
  std::optional<Ipv6> gateway6 = {};  ///< empty: the subnet's first address
  NetworkPolicy policy = {};
  unsigned mtu = 0;  ///< 0: the uplink's
  /// Whose subnets are not chosen, used or not; may be null. Read only when a subnet is chosen.
  const NetworkStore* others = nullptr;
};

/// Finds bridge and table, or makes what is missing. A table that somebody flushed is made again, with the
/// ports of all living holders.
Bridge ensure_bridge(const NetworkNames& names, const LeaseBook& leases, const BridgeWish& wish = {});

/// Removes both when nobody has a lease.
void remove_unused_bridge(const NetworkNames& names, const LeaseBook& leases);

/// Whether bridge and tables hold nothing but what somebody with a lease needs.
bool is_tidy(const NetworkNames& names, const LeaseBook& leases);
/// Makes them so: the bridge goes with the last lease, and until then what ended containers might send.
void tidy_bridge(const NetworkNames& names, const LeaseBook& leases);

/// Takes what a container has on the network from whoever holds it.
void revoke_leases(const NetworkNames& names, const LeaseBook& leases, std::string_view container_id);

/// Clears what killed holders left: NAT entries, links that still exist, lease files.
void clear_dead_leases(const NetworkNames& names, const LeaseBook& leases);

}  // namespace lay::runner
