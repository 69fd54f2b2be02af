#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "network/leases.h"

/// How containers on one network know each other by name: there is no daemon that could answer their
/// questions, so whoever starts or ends one writes all of them into every /etc/hosts on that network.
namespace lay::runner {

struct Peer {
  std::string address;
  std::vector<std::string> names;
};

/// `hosts` with the lines of `peers` in place of those that were put in before for the same `network` (its
/// short id); what a container or its user wrote around them stays.
std::string with_peers(std::string_view hosts, std::string_view network, std::span<const Peer> peers);

/// Brings the hosts files of all who hold a lease up to date, in place: they are bound into the containers,
/// so that another file of the same name would not be seen. Called under LeaseBook::lock(). What is returned
/// says whose could not be written: that must not keep others from starting.
std::vector<std::string> tell_peer_names(const LeaseBook& leases);

/// A container's own name, and the address that it leads to.
struct OwnAddress {
  std::string name;
  std::string before;
  std::string after;
};

/// `hosts` with the address `after` in the lines of the container's own name; what else leads to the address
/// `before` is the user's.
std::string with_own_address(std::string_view hosts, const OwnAddress& own);

/// Takes the lines of that network out of the hosts file of a container (its folder) that left it.
void forget_peer_names(const LeaseBook& leases, const std::string& folder);
/// In the hosts file of a container (its folder) its own name leads to `own.after` instead of `own.before`,
/// an address that it has no more.
void tell_own_address(const LeaseBook& leases, const std::string& folder, const OwnAddress& own);

}  // namespace lay::runner
