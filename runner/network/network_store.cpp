#include "runner/network_store.h"

#include <fcntl.h>

#include <algorithm>
#include <filesystem>

#include "base/atomic_file.h"
#include "base/file_lock.h"
#include "base/folder_names.h"
#include "base/make_folders.h"
#include "base/remove_tree.h"
#include "base/syscalls.h"
#include "container/names.h"
#include "network/address.h"
#include "network/address6.h"
#include "network/macvlan.h"
#include "network/names.h"
#include "network/netlink_route.h"
#include "runner/container.h"

namespace lay::runner {

namespace {

constexpr const char* kFolder = "networks";
constexpr const char* kLock = "lock";
constexpr std::string_view kSuffix = ".json";
constexpr std::size_t kMaxBytes = 1024 * 1024;
constexpr std::size_t kIdBytes = 32;

std::string file_name(const std::string& name) {
  return name + std::string(kSuffix);
}

std::optional<NetworkDefinition> read_definition(const UniqueFd& folder, const std::string& name) {
  const std::optional<UniqueFd> file = sys::try_open_at(folder, file_name(name), O_RDONLY | O_NOFOLLOW);
  if (!file) return std::nullopt;
  return with_context("network '" + name + "'",
                      [&] { return parse_network_definition(sys::read_all(*file, kMaxBytes)); });
}

std::vector<NetworkDefinition> read_all(const UniqueFd& folder) {
  std::vector<NetworkDefinition> networks;
  for (const std::string& file : list_names(folder)) {
    if (!file.ends_with(kSuffix)) continue;
    const std::string name = file.substr(0, file.size() - kSuffix.size());
    if (!is_network_name(name)) continue;
    if (auto network = read_definition(folder, name)) networks.push_back(std::move(*network));
  }
  std::sort(networks.begin(), networks.end(),
            [](const NetworkDefinition& a, const NetworkDefinition& b) { return a.name < b.name; });
  return networks;
}

Error no_network(std::string_view name) {
  return Error::make(Errc::not_found, "network '{}' is not known", printable(name))
      .with_hint(
          "'lay network ls' lists all, 'lay network create' makes one; bridge, none, host and "
          "container:NAME are always there");
}

std::vector<Subnet> routed_subnets() {
  NetlinkSocket socket = NetlinkSocket::open(NETLINK_ROUTE);
  std::vector<Subnet> routed;
  for (const UsedSubnet& entry : used_subnets(socket)) routed.push_back(entry.subnet);
  return routed;
}

Error is_routed(const std::string& subnet, const std::string& routed) {
  return Error::make(Errc::busy, "subnet {} overlaps {}, which is routed on this machine", subnet, routed)
      .with_hint(
          "`ip route show table all` and `ip -6 route` show it; name another one, or leave --subnet out");
}

void check_no_route(const std::string& wish) {
  const Subnet subnet = *parse_subnet(wish);
  for (const Subnet& routed : routed_subnets())
    if (routed.overlaps(subnet)) throw is_routed(wish, to_string(routed));
}

void check_no_route6(const std::string& wish) {
  NetlinkSocket socket = NetlinkSocket::open(NETLINK_ROUTE);
  const Subnet6 subnet = *parse_subnet6(wish);
  for (const UsedSubnet6& routed : used_subnets6(socket))
    if (routed.subnet.overlaps(subnet)) throw is_routed(wish, to_string(routed.subnet));
}

/// Of what a user asks for: the first start would be refused. A macvlan shares its parent's subnet.
void check_no_route(const NetworkDefinition& wish) {
  if (wish.driver == NetworkDriver::macvlan) return;
  if (!wish.subnet.empty()) check_no_route(wish.subnet);
  if (!wish.subnet6.empty()) check_no_route6(wish.subnet6);
}

/// Whatever is routed on this machine is taken.
std::string free_subnet(const std::vector<NetworkDefinition>& others) {
  std::vector<Subnet> used = routed_subnets();
  for (const NetworkDefinition& other : others) used.push_back(*parse_subnet(other.subnet));
  const std::optional<Subnet> chosen = choose_subnet(used);
  if (!chosen)
    throw Error(Errc::unsupported, "no private subnet is free").with_hint("name one with --subnet");
  return to_string(*chosen);
}

void check_no_overlap(const NetworkDefinition& wish, const std::vector<NetworkDefinition>& others) {
  const Subnet subnet = *parse_subnet(wish.subnet);
  for (const NetworkDefinition& other : others)
    if (parse_subnet(other.subnet)->overlaps(subnet))
      throw Error::make(Errc::busy, "subnet {} overlaps {} of network '{}'", wish.subnet, other.subnet,
                        other.name)
          .with_hint("name another one, or leave --subnet out: a free one is chosen");
  if (const std::optional<Subnet6> subnet6 = parse_subnet6(wish.subnet6))
    for (const NetworkDefinition& other : others)
      if (const auto theirs = parse_subnet6(other.subnet6); theirs && theirs->overlaps(*subnet6))
        throw Error::make(Errc::busy, "subnet {} overlaps {} of network '{}'", wish.subnet6, other.subnet6,
                          other.name)
            .with_hint("name another one, or give --ipv6 alone: a free one is chosen");
}

/// Its leases and lock; nobody is on it any more.
void forget_place(const std::string& run, const NetworkDefinition& network) {
  const std::filesystem::path place = network_run(run, network.id);
  if (const auto folder = sys::try_open_at(sys::cwd(), place.parent_path(), O_RDONLY | O_DIRECTORY))
    remove_tree(*folder, place.filename());
}

/// A network as it is written down. Destroyed, it is taken away again, unless it is kept: who is told that it
/// could not be made finds none.
class Draft {
 public:
  Draft(const UniqueFd& folder, const NetworkDefinition& network)
      : folder_(folder), file_(file_name(network.name)) {
    check_network(network);
    try {
      replace_file(folder_, file_, network_text(network));
    } catch (const Error&) {
      discard();  // it may be there, and only not be on disk
      throw;
    }
  }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;
  ~Draft() {
    if (!is_kept_) discard();
  }
  void keep() { is_kept_ = true; }

 private:
  void discard() const {
    try {
      sys::try_unlink_at(folder_, file_);
    } catch (const Error&) {
      // what failed before is what has to be said
    }
  }
  const UniqueFd& folder_;
  std::string file_;
  bool is_kept_ = false;
};

/// All of `wish` that does not depend on `others`. What cannot be is refused before anything is made, with a
/// subnet as it may get one when it names none.
void settle(NetworkDefinition& wish, Families families, const std::vector<NetworkDefinition>& others) {
  if (wish.driver == NetworkDriver::macvlan && !wish.parent.empty()) take_from_parent(wish, families);
  if (families == Families::both && wish.subnet6.empty()) wish.subnet6 = random_subnet6();
  if (const auto subnet6 = parse_subnet6(wish.subnet6)) wish.subnet6 = to_string(*subnet6);
  if (const auto gateway6 = parse_ipv6(wish.wished_gateway6)) wish.wished_gateway6 = to_string(*gateway6);
  wish.id = sys::random_hex(kIdBytes);
  if (!wish.subnet.empty()) wish.subnet = check_network_subnet(wish.subnet);
  NetworkDefinition trial = wish;
  if (trial.subnet.empty()) trial.subnet = free_subnet(others);
  check_network(trial);
}

/// Writes it down with a subnet that nothing else has. The bridge of all may get the same one meanwhile, when
/// the first container starts; it sees what is written down, and what is routed by then is seen here.
void write_down_with_free_subnet(const UniqueFd& folder, NetworkDefinition& network,
                                 const std::vector<NetworkDefinition>& others) {
  constexpr int kTries = 10;
  for (int i = 0; i < kTries; ++i) {
    network.subnet = free_subnet(others);
    check_no_overlap(network, others);
    Draft draft(folder, network);
    const Subnet subnet = *parse_subnet(network.subnet);
    if (std::ranges::any_of(routed_subnets(), [&](const Subnet& other) { return other.overlaps(subnet); }))
      continue;
    draft.keep();
    return;
  }
  throw Error::make(Errc::busy, "no subnet could be agreed on in {} tries", kTries)
      .with_hint("name one with --subnet");
}

}  // namespace

std::optional<UniqueFd> NetworkStore::open_folder() const {
  return sys::try_open_at(sys::cwd(), root_ + "/" + kFolder, O_RDONLY | O_DIRECTORY);
}

UniqueFd NetworkStore::make_folder() const {
  make_folders(root_);
  sys::try_mkdir_at(sys::cwd(), root_ + "/" + kFolder, 0700);
  return sys::open_dir(sys::cwd(), root_ + "/" + kFolder);
}

FileLock NetworkStore::keep() const {
  return FileLock::acquire(make_folder(), kLock, LockMode::shared);
}

FileLock NetworkStore::change() const {
  return FileLock::acquire(make_folder(), kLock, LockMode::exclusive);
}

NetworkDefinition NetworkStore::create(NetworkDefinition wish, Families families) const {
  if (!is_network_name(wish.name))
    throw Error::make(Errc::invalid, "'{}' cannot name a network", printable(wish.name))
        .with_hint(
            "letters, digits, '_', '.' and '-', the first a letter or digit; bridge, none, host, "
            "container, default and ns are taken");
  settle(wish, families, list());
  const UniqueFd folder = make_folder();
  const FileLock lock = FileLock::acquire(folder, kLock, LockMode::exclusive);
  const std::vector<NetworkDefinition> others = read_all(folder);
  if (std::any_of(others.begin(), others.end(),
                  [&](const NetworkDefinition& other) { return other.name == wish.name; }))
    throw Error::make(Errc::busy, "network '{}' is there already", wish.name)
        .with_hint("'lay network rm " + wish.name + "' removes it");
  if (!wish.subnet.empty()) check_no_overlap(wish, others);
  check_no_route(wish);
  if (wish.subnet.empty()) {
    write_down_with_free_subnet(folder, wish, others);
    return wish;
  }
  Draft(folder, wish).keep();
  return wish;
}

NetworkDefinition NetworkStore::find(const std::string& name) const {
  const std::optional<UniqueFd> folder = open_folder();
  if (!folder || !is_container_name(name)) throw no_network(name);
  if (is_network_name(name))
    if (auto network = read_definition(*folder, name)) return std::move(*network);
  if (!is_id_prefix(name)) throw no_network(name);
  std::optional<NetworkDefinition> found;
  for (NetworkDefinition& network : read_all(*folder)) {
    if (!network.id.starts_with(name)) continue;
    if (found) throw Error::make(Errc::invalid, "'{}' begins the ids of several networks", name);
    found = std::move(network);
  }
  if (!found) throw no_network(name);
  return std::move(*found);
}

std::vector<NetworkDefinition> NetworkStore::list() const {
  const std::optional<UniqueFd> folder = open_folder();
  return folder ? read_all(*folder) : std::vector<NetworkDefinition>{};
}

void NetworkStore::remove(const NetworkDefinition& network, const ContainerStore& containers) const {
  const UniqueFd folder = make_folder();
  const FileLock lock = FileLock::acquire(folder, kLock, LockMode::exclusive);
  for (const Container& container : containers.list())
    if (is_on(container.config().network, network.name))
      throw Error::make(Errc::busy, "network '{}' is used by container '{}'", network.name,
                        container.config().name)
          .with_hint(fmt::format("lay network disconnect {0} {1} takes it off, lay rm -f {1} removes it",
                                 network.name, container.config().name));
  sweep_networks(containers.run());
  forget_place(containers.run(), network);
  if (!sys::try_unlink_at(folder, file_name(network.name))) throw no_network(network.name);
  sys::fsync(folder);
}

}  // namespace lay::runner
