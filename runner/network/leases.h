#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/file_lock.h"
#include "base/unique_fd.h"
#include "network/address.h"
#include "network/address6.h"
#include "runner/network.h"

namespace lay::runner {

/// What a holder writes down for whoever has to clear up after it.
struct LeaseRecord {
  std::string container;
  std::string veth;  ///< host's end
  std::vector<PortMapping> ports;
  std::string mac = {};                 ///< empty: the one that is made of the address
  std::vector<std::string> names = {};  ///< others on a network of users know it by these
  std::string folder = {};              ///< the container's, with its hosts file; empty on the bridge of all
  std::string address6 = {};            ///< IPv6, where the network has it
  bool has_ended = false;               ///< its holder has seen the container's end

  bool operator==(const LeaseRecord&) const = default;
};

/// A leased address: the file RUN/leases/<address>, under flock(2) as long as its holder lives. The kernel
/// drops the lock when the holder is killed, which is how a leftover is told from a lease.
struct Lease {
  Ipv4 address;
  FileLock lock;
};

/// Which addresses of a network are for containers.
struct AddressPool {
  Subnet subnet;
  Ipv4 gateway;
  Subnet range;  ///< within the subnet: where free ones are taken from

  static AddressPool of(const Subnet& subnet) { return {subnet, subnet.gateway(), subnet}; }
  /// Neither the network's own, nor the gateway, nor that of all.
  bool has(Ipv4 address) const;
};

/// A lease file whose holder is gone; its lock is ours, so that nobody takes the
/// address before it is cleared.
struct DeadLease {
  Lease lease;
  LeaseRecord record;
};

/// RUN/network.lock, held until destruction. Unlocked by name and not only closed: a process forked meanwhile
/// holds a copy of the descriptor until it executes something.
class NetworkLock {
 public:
  explicit NetworkLock(FileLock lock) : lock_(std::move(lock)) {}
  NetworkLock(const NetworkLock&) = delete;
  NetworkLock& operator=(const NetworkLock&) = delete;
  ~NetworkLock();

 private:
  FileLock lock_;
};

/// The address leases of one RUN, whatever container roots use it. All but open(), find(), lock() and what
/// says otherwise is called under lock(); only the death of a holder is not ordered by it.
class LeaseBook {
 public:
  /// Makes RUN and RUN/leases (0700) as needed.
  static LeaseBook open(const std::string& run);

  /// For readers: makes nothing, and is empty when nobody has had a lease there.
  static std::optional<LeaseBook> find(const std::string& run);

  /// Waits for the exclusive lock of whoever changes what the containers of this RUN share.
  NetworkLock lock() const;

  /// The last part of RUN: of a network that users made its short id.
  const std::string& name() const { return name_; }
  /// Held by whoever writes hosts files, for a container is on several networks. Below lock() only, and only
  /// on networks that users made.
  FileLock lock_hosts() const;

  /// RUN/network.json: the subnet chosen by whoever made the bridge; empty when
  /// there is none that can be read.
  std::optional<Subnet> subnet() const;
  void save_subnet(const Subnet& subnet) const;

  /// A free address. The search starts where the container's id decides, so that an address is not used again
  /// at once while somebody still knows it as another's. Throws unsupported when all are taken.
  Lease take(const AddressPool& pool, std::string_view container_id) const;
  /// That address and no other. Throws invalid when it is none of the subnet's, busy when it is in use. What
  /// the container had in an earlier life, and has not given back yet, is no hindrance.
  Lease take_exactly(const AddressPool& pool, const std::string& address,
                     std::string_view container_id) const;
  /// That of an ended holder, with its record until another is written; empty when somebody has it.
  std::optional<Lease> take_over(Ipv4 address) const;
  /// Once for each holder.
  void write(const Lease& lease, const LeaseRecord& record) const;
  /// Gives the address back.
  void drop(Lease lease) const;
  /// Takes it from whoever holds it, who finds out by is_revoked().
  void revoke(Ipv4 address) const;
  static bool is_revoked(const Lease& lease);
  /// Leaves it as that of a holder who died, but has seen the container's end: somebody else clears up, or
  /// takes it over.
  static void leave_dead(const Lease& lease);

  /// Whether anybody has a lease.
  bool any_held() const;
  /// The leases of living holders, our own included.
  std::vector<std::pair<Ipv4, LeaseRecord>> held() const;
  std::vector<DeadLease> dead() const;
  /// Every lease file as it is, whether its holder lives or not; needs no lock().
  std::vector<std::pair<Ipv4, LeaseRecord>> records() const;
  /// That of one address, empty when nobody has it; needs no lock().
  LeaseRecord read(Ipv4 address) const;

 private:
  LeaseBook(std::string name, UniqueFd run, UniqueFd folder)
      : name_(std::move(name)), run_(std::move(run)), folder_(std::move(folder)) {}
  std::optional<Lease> try_take(Ipv4 address) const;
  std::vector<Ipv4> addresses() const;
  std::string name_;
  UniqueFd run_;
  UniqueFd folder_;
};

/// What to say of an address that is none of the pool's.
Error no_address_of(const AddressPool& pool, std::string_view address);
Error no_address_of(const Subnet6& subnet, std::string_view address);
Error no_ipv6_on(std::string_view network);

/// The text of a lease file, and back; what cannot be read gives an empty record. A line is added to it at
/// the container's end.
std::string lease_text(const LeaseRecord& record);
LeaseRecord parse_lease(std::string_view text);

}  // namespace lay::runner
