#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "network/bridge.h"
#include "network/inner_link.h"
#include "network/leases.h"
#include "network/names.h"
#include "network/nftables.h"
#include "network/ports.h"
#include "runner/network.h"

namespace lay::runner {

/// What a container has on one network, from its reservation to its release. Addresses are taken in
/// attachment_addresses.cpp, all else is done in network.cpp.
struct BridgeAttachment::State {
  std::string run;
  LeaseBook leases;
  NetworkNames names;
  std::vector<HeldPort> held_ports;
  std::string wished_mac = {};       ///< --mac-address
  std::string wished_address = {};   ///< --ip
  std::string wished_address6 = {};  ///< --ip6
  std::optional<NetworkMember> member = {};
  std::optional<Lease> lease = {};
  Bridge bridge = {};
  std::string veth = {};
  bool is_published = false;  ///< elements may be in the maps
  Attachment attachment = {};

  std::vector<PublishedPort> published_ports() const;
  MacAddress mac() const { return parse_mac(wished_mac).value_or(mac_address(lease->address)); }
  std::optional<Ipv4> take_from_ended() const;
  Lease take_free(const AddressPool& pool, const std::string& container_id) const;
  void take_lease(const std::string& container_id, std::optional<Ipv4> left = {});
  void take_probed_lease(const std::string& container_id);
  void record_lease(const std::string& container_id);
  void set_up_tables();
  void publish_anew(NetlinkSocket& netfilter, std::span<const NetlinkMessage> admission);
  void settle_address6(const AddressPool& pool, const std::string& container_id);
  InnerLink inner_link(const UniqueFd& netns, std::optional<unsigned> number) const;
  void look_at_foreign_chains();
  void release();
};

}  // namespace lay::runner
