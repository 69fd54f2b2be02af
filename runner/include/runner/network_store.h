#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file_lock.h"
#include "base/text.h"
#include "base/unique_fd.h"

/// Networks that users make: ROOT/networks/<name>.json, one file each. The "bridge" that is always there has
/// none: it is never looked up, so that starting a container on it reads no file.
namespace lay::runner {

class ContainerStore;

/// Whether a network leads out of this machine.
enum class Reach { everywhere, inside };

/// Whether the containers on a network reach each other.
enum class Neighbours { in_reach, apart };

/// Whether they reach 169.254.169.254, where clouds hand out what a machine may do there.
enum class Metadata { in_reach, blocked };

/// How a network is made: a bridge of lay's own, or each container's link beside a link of the host, seen by
/// all that is on its wire.
enum class NetworkDriver { bridge, macvlan };
std::string_view to_string(NetworkDriver driver);

/// Of which families a network gives its containers addresses.
enum class Families { ipv4, both };

struct NetworkDefinition {
  std::string id;  ///< 64 hex digits
  std::string name;
  Time created;
  std::string subnet;  ///< "10.100.0.0/16"; its first address is the gateway
  Reach reach = Reach::everywhere;
  unsigned mtu = 0;  ///< 0: as the uplink has it
  std::map<std::string, std::string> labels;
  std::string subnet6 = {};          ///< "fd00:1::/64"; empty: no IPv6
  std::string wished_gateway = {};   ///< empty: the first address
  std::string wished_gateway6 = {};  ///< empty: the first address; may be a link-local one with macvlan
  std::string ip_range = {};         ///< where free addresses are taken from; empty: the subnet
  NetworkDriver driver = NetworkDriver::bridge;
  std::string parent = {};  ///< link of the host; macvlan only
  Neighbours neighbours = Neighbours::in_reach;
  Metadata metadata = Metadata::in_reach;

  std::string gateway() const;
  std::string gateway6() const;
};

/// The text of a definition, and back. Throws invalid.
std::string network_text(const NetworkDefinition& network);
NetworkDefinition parse_network_definition(std::string_view text);

/// Whether users may make a network of that name: as a container's, and no word that --network knows already.
bool is_network_name(std::string_view name);
/// The subnet in its canonical form: IPv4 with 8 to 29 fixed bits. Throws invalid or unsupported.
std::string check_network_subnet(std::string_view text);
/// Throws invalid when `network` does not fit together: gateway or range outside the subnet, IPv6 with fewer
/// free bits than IPv4, a driver without what it needs. Subnets are set.
void check_network(const NetworkDefinition& network);

/// The networks that users made, ROOT/networks: a file for each, and a lock, so that any process may use it
/// at any time.
class NetworkStore {
 public:
  /// Nothing is made before create().
  explicit NetworkStore(std::string root) : root_(std::move(root)) {}

  /// While it is held no network is removed: whoever makes a container that shall be on one looks it up and
  /// makes the container beneath this lock.
  FileLock keep() const;
  /// Held by whoever changes on which networks a container is.
  FileLock change() const;

  /// `wish` has no id yet, and no subnet of `families` where one shall be chosen: a free one, none of a route
  /// of this machine, nor of another network; with macvlan that of the parent. Throws busy when the name is
  /// taken or the subnet overlaps another network's.
  NetworkDefinition create(NetworkDefinition wish, Families families = Families::ipv4) const;
  /// By name, id or unambiguous beginning of an id. Throws not_found or invalid (ambiguous).
  NetworkDefinition find(const std::string& name) const;
  /// By name.
  std::vector<NetworkDefinition> list() const;
  /// Throws busy, with a hint, while a container is to be on it.
  void remove(const NetworkDefinition& network, const ContainerStore& containers) const;

 private:
  std::optional<UniqueFd> open_folder() const;
  UniqueFd make_folder() const;
  std::string root_;
};

}  // namespace lay::runner
