#include <algorithm>
#include <future>
#include <set>
#include <utility>

#include "base/error.h"
#include "network/address_probe.h"
#include "network/attachment_state.h"
#include "network/macvlan.h"
#include "network/netlink_route.h"
#include "network/take_over.h"

namespace lay::runner {

namespace {

AddressPool pool_of(const std::optional<NetworkMember>& member, const Bridge& bridge) {
  AddressPool pool{bridge.subnet, bridge.gateway, bridge.subnet};
  if (member && !member->network.ip_range.empty())
    pool.range = parse_subnet(member->network.ip_range).value_or(bridge.subnet);
  return pool;
}

template <class Address>
bool is_among(const std::vector<Address>& all, const Address& address) {
  return std::find(all.begin(), all.end(), address) != all.end();
}

Error in_use_on_wire(const std::string& address, const std::string& parent, const char* flag) {
  return Error::make(Errc::busy, "address {} is in use by another machine on the wire of '{}'", address,
                     parent)
      .with_hint(fmt::format("name another one with {}", flag));
}

}  // namespace

/// Addresses that users asked for are had now or not at all, and those of IPv6 are not taken over.
std::optional<Ipv4> BridgeAttachment::State::take_from_ended() const {
  if (wished_address.empty() && (!member || member->network.subnet6.empty()))
    return take_from_ended_holder(run, names, leases, {.ports = attachment.ports, .mac = wished_mac});
  clear_dead_leases(names, leases);
  return std::nullopt;
}

/// Addresses of ended containers that nobody has cleared yet are as good as free, when there are no others.
Lease BridgeAttachment::State::take_free(const AddressPool& pool, const std::string& container_id) const {
  try {
    return leases.take(pool, container_id);
  } catch (const Error& error) {
    if (error.code() != Errc::unsupported || leases.dead().empty()) throw;
  }
  clear_dead_leases(names, leases);
  return leases.take(pool, container_id);
}

/// `left`: what take_from_ended() gave.
void BridgeAttachment::State::take_lease(const std::string& container_id, std::optional<Ipv4> left) {
  const AddressPool pool = pool_of(member, bridge);
  if (left && pool.has(*left)) lease = leases.take_over(*left);
  is_published = lease.has_value();  // from here on: its elements are in the maps already
  if (lease) return;
  lease = wished_address.empty() ? take_free(pool, container_id)
                                 : leases.take_exactly(pool, wished_address, container_id);
  if (member && !member->network.subnet6.empty()) settle_address6(pool, container_id);
}

/// The IPv6 address has the same host bits as the IPv4 address, and so needs no lease of its own. Only those
/// that users asked for can be in the way of each other, or of one that is made so.
void BridgeAttachment::State::settle_address6(const AddressPool& pool, const std::string& container_id) {
  const Subnet6 subnet = parse_subnet6(member->network.subnet6).value_or(Subnet6{});
  std::set<std::string> taken{member->network.gateway6(), to_string(subnet.address)};
  for (const auto& [address, record] : leases.held())
    if (record.container != container_id) taken.insert(record.address6);
  if (!wished_address6.empty()) {
    const std::optional<Ipv6> wished = parse_ipv6(wished_address6);
    if (!wished || !subnet.contains(*wished)) throw no_address_of(subnet, wished_address6);
    attachment.address6 = to_string(*wished);
    if (taken.contains(attachment.address6))
      throw Error::make(Errc::busy, "address {} is in use", attachment.address6)
          .with_hint("take another one, or leave --ip6 out");
  } else {
    const auto made = [&] {
      return to_string(subnet.host(lease->address.value - pool.subnet.address.value));
    };
    std::vector<Lease> passed_over;  // kept meanwhile, so that none of them is found again
    while (taken.contains(made())) {
      if (!wished_address.empty())
        throw Error::make(Errc::busy, "address {} is in use", made())
            .with_hint("name another one with --ip6");
      passed_over.push_back(*std::exchange(lease, std::nullopt));
      lease = leases.take(pool, container_id);
    }
    for (Lease& each : passed_over) leases.drop(std::move(each));
    attachment.address6 = made();
  }
  attachment.prefix_length6 = subnet.prefix_length;
}

/// On the wire of others: an address is had when none of them has it. Asked without the lock, for it takes
/// time.
void BridgeAttachment::State::take_probed_lease(const std::string& container_id) {
  constexpr std::size_t kTries = 32;
  NetlinkSocket route = NetlinkSocket::open(NETLINK_ROUTE);
  const std::string& parent = member->network.parent;
  bridge.link = find_parent(route, parent);
  if (member->network.mtu != 0) bridge.link.mtu = member->network.mtu;
  bridge.subnet = parse_subnet(member->network.subnet).value_or(Subnet{});
  bridge.gateway = parse_ipv4(member->network.gateway()).value_or(Ipv4{});
  const std::vector<Ipv4> own = own_addresses(route);
  const std::vector<Ipv6> own6 = own_addresses6(route);
  std::vector<Lease> passed_over;
  while (passed_over.size() < kTries) {
    {
      const NetworkLock lock = leases.lock();
      clear_dead_leases(names, leases);
      take_lease(container_id);
      record_lease(container_id);
    }
    // Both at once, for each takes its time
    std::future<bool> is_taken6 =
        std::async(std::launch::async, [&, address6 = parse_ipv6(attachment.address6)] {
          return address6 && (is_among(own6, *address6) || is_in_use(bridge.link, parent, *address6));
        });
    const bool is_taken = is_among(own, lease->address) || is_in_use(bridge.link, parent, lease->address);
    const bool is_free6 = !is_taken6.get();
    if (!is_taken && is_free6) break;
    if (is_taken && !wished_address.empty()) throw in_use_on_wire(wished_address, parent, "--ip");
    if (!is_free6 && !(wished_address.empty() && wished_address6.empty()))
      throw in_use_on_wire(attachment.address6, parent, "--ip6");
    passed_over.push_back(*std::exchange(lease, std::nullopt));
  }
  const NetworkLock lock = leases.lock();
  for (Lease& each : passed_over) leases.drop(std::move(each));
  if (lease) return;
  throw Error::make(Errc::busy, "{} addresses of {} in a row are in use by other machines", kTries,
                    member->network.subnet)
      .with_hint("make the network with an --ip-range that is kept free for containers");
}

void BridgeAttachment::State::record_lease(const std::string& container_id) {
  LeaseRecord record{.container = container_id,
                     .veth = veth,
                     .ports = attachment.ports,
                     .mac = wished_mac,
                     .address6 = attachment.address6};
  if (member) {
    record.names = member->names;
    record.folder = member->folder;
  }
  leases.write(*lease, record);
  attachment.address = to_string(lease->address);
  attachment.prefix_length = bridge.subnet.prefix_length;
  attachment.gateway = to_string(bridge.gateway);
  attachment.mac_address = to_string(mac());
  attachment.notes = bridge.notes;
}

}  // namespace lay::runner
