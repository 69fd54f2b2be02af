#include "network/leases.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/folder_names.h"
#include "base/json.h"
#include "base/make_folders.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "network/names.h"

namespace lay::runner {

namespace {

constexpr const char* kLockName = "network.lock";
constexpr const char* kLeases = "leases";
constexpr const char* kHostsLock = "../../hosts.lock";  // RUN itself: of all networks
constexpr const char* kSubnetName = "network.json";
constexpr std::string_view kEnded = "\nended\n";
/// More than any list of ports a command line can hold.
constexpr std::size_t kMaxRecordBytes = 1024 * 1024;

/// Opens RUN, made with its parents as needed.
UniqueFd open_run(const std::string& run) {
  make_folders(run);
  return sys::open_at(sys::cwd(), run, O_RDONLY | O_DIRECTORY);
}

UniqueFd open_subfolder(const UniqueFd& dir, const std::string& name) {
  sys::try_mkdir_at(dir, name, 0700);
  return sys::open_dir(dir, name);
}

/// A short text, whole or not at all.
void write_at(const UniqueFd& file, std::string_view text, ::off_t offset) {
  if (::pwrite(file.get(), text.data(), text.size(), offset) != static_cast<ssize_t>(text.size()))
    throw Error::from_errno("write a lease");
}

Json port_to_json(const PortMapping& port) {
  return {{"host_ip", port.host_ip},
          {"host_port", port.host_port},
          {"container_port", port.container_port},
          {"protocol", port.protocol == Protocol::tcp ? "tcp" : "udp"}};
}

PortMapping port_from_json(const Json& value) {
  return {.host_ip = json_string(value, "host_ip"),
          .host_port = static_cast<std::uint16_t>(json_int(value, "host_port")),
          .container_port = static_cast<std::uint16_t>(json_int(value, "container_port")),
          .protocol = json_string(value, "protocol") == "udp" ? Protocol::udp : Protocol::tcp};
}

}  // namespace

NetworkLock::~NetworkLock() {
  ::flock(lock_.fd().get(), LOCK_UN);
}

LeaseBook LeaseBook::open(const std::string& run) {
  UniqueFd folder = open_run(run);
  UniqueFd leases = open_subfolder(folder, kLeases);
  return LeaseBook(std::filesystem::path(run).filename(), std::move(folder), std::move(leases));
}

std::optional<LeaseBook> LeaseBook::find(const std::string& run) {
  std::optional<UniqueFd> folder = sys::try_open_at(sys::cwd(), run, O_RDONLY | O_DIRECTORY);
  if (!folder) return std::nullopt;
  std::optional<UniqueFd> leases = sys::try_open_at(*folder, kLeases, O_RDONLY | O_DIRECTORY);
  if (!leases) return std::nullopt;
  return LeaseBook(std::filesystem::path(run).filename(), std::move(*folder), std::move(*leases));
}

NetworkLock LeaseBook::lock() const {
  return NetworkLock(FileLock::acquire(run_, kLockName, LockMode::exclusive));
}

FileLock LeaseBook::lock_hosts() const {
  return FileLock::acquire(run_, kHostsLock, LockMode::exclusive);
}

std::optional<Subnet> LeaseBook::subnet() const {
  const std::optional<UniqueFd> file = sys::try_open_at(run_, kSubnetName, O_RDONLY | O_NOFOLLOW);
  if (!file) return std::nullopt;
  try {
    const Json document = parse_json(sys::read_all(*file, kMaxRecordBytes), kSubnetName);
    return parse_subnet(json_string(document, "subnet"));
  } catch (const Error&) {
    return std::nullopt;  // it only remembers a choice: another is made
  }
}

void LeaseBook::save_subnet(const Subnet& subnet) const {
  replace_file(run_, kSubnetName, dump_json(Json{{"subnet", to_string(subnet)}}));
}

std::optional<Lease> LeaseBook::try_take(Ipv4 address) const {
  std::optional<FileLock> lock = FileLock::try_acquire(folder_, to_string(address), LockMode::exclusive);
  if (!lock) return std::nullopt;
  return Lease{address, std::move(*lock)};
}

bool AddressPool::has(Ipv4 address) const {
  return subnet.contains(address) && address != subnet.address && address != gateway &&
         address.value != (subnet.address.value | ~subnet.mask());
}

Lease LeaseBook::take(const AddressPool& pool, std::string_view container_id) const {
  const std::uint32_t count = ~pool.range.mask() + 1;
  const auto start = static_cast<std::uint32_t>(hash_of(container_id) % count);
  std::uint32_t for_containers = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const Ipv4 address{pool.range.address.value + (start + i) % count};
    if (!pool.has(address)) continue;
    ++for_containers;
    // A file with content is a dead holder's: its address is free when that is cleared up
    if (std::optional<Lease> lease = try_take(address); lease && sys::stat_of(lease->lock.fd()).st_size == 0)
      return std::move(*lease);
  }
  throw Error::make(Errc::unsupported, "all {} addresses of {} are in use", for_containers,
                    to_string(pool.range))
      .with_hint("stop containers that are not needed");
}

Lease LeaseBook::take_exactly(const AddressPool& pool, const std::string& address,
                              std::string_view container_id) const {
  const std::optional<Ipv4> wished = parse_ipv4(address);
  if (!wished || !pool.has(*wished)) throw no_address_of(pool, address);
  const LeaseRecord holder = read(*wished);
  if (holder.container == container_id && !container_id.empty()) revoke(*wished);
  if (std::optional<Lease> lease = try_take(*wished); lease && sys::stat_of(lease->lock.fd()).st_size == 0)
    return std::move(*lease);
  throw Error::make(Errc::busy, "address {} is in use by container {}", address,
                    holder.container.substr(0, 12))
      .with_hint("take another one, or leave --ip out");
}

std::optional<Lease> LeaseBook::take_over(Ipv4 address) const {
  return try_take(address);
}

void LeaseBook::write(const Lease& lease, const LeaseRecord& record) const {
  std::string text = lease_text(record);
  const auto before = static_cast<std::size_t>(sys::stat_of(lease.lock.fd()).st_size);
  text.resize(std::max(text.size(), before), ' ');  // in one step over what an ended holder left
  write_at(lease.lock.fd(), text, 0);
}

void LeaseBook::drop(Lease lease) const {
  if (!is_revoked(lease)) sys::try_unlink_at(folder_, to_string(lease.address));
}

void LeaseBook::revoke(Ipv4 address) const {
  sys::try_unlink_at(folder_, to_string(address));
}

bool LeaseBook::is_revoked(const Lease& lease) {
  return sys::stat_of(lease.lock.fd()).st_nlink == 0;
}

void LeaseBook::leave_dead(const Lease& lease) {
  const UniqueFd& file = lease.lock.fd();
  if (!is_revoked(lease)) write_at(file, kEnded, static_cast<::off_t>(sys::stat_of(file).st_size));
  ::flock(lease.lock.fd().get(), LOCK_UN);  // a process forked meanwhile may hold a copy of the descriptor
}

std::vector<Ipv4> LeaseBook::addresses() const {
  std::vector<Ipv4> found;
  for (const std::string& name : list_names(folder_))
    if (const std::optional<Ipv4> address = parse_ipv4(name)) found.push_back(*address);
  return found;
}

LeaseRecord LeaseBook::read(Ipv4 address) const {
  const std::optional<UniqueFd> file = sys::try_open_at(folder_, to_string(address), O_RDONLY | O_NOFOLLOW);
  return file ? parse_lease(sys::read_all(*file, kMaxRecordBytes)) : LeaseRecord{};
}

bool LeaseBook::any_held() const {
  for (const Ipv4 address : addresses())
    if (!try_take(address)) return true;
  return false;
}

std::vector<std::pair<Ipv4, LeaseRecord>> LeaseBook::held() const {
  std::vector<std::pair<Ipv4, LeaseRecord>> found;
  for (const Ipv4 address : addresses())
    if (!try_take(address)) found.emplace_back(address, read(address));
  return found;
}

std::vector<DeadLease> LeaseBook::dead() const {
  std::vector<DeadLease> found;
  for (const Ipv4 address : addresses())
    if (std::optional<Lease> lease = try_take(address)) found.push_back({std::move(*lease), read(address)});
  return found;
}

std::vector<std::pair<Ipv4, LeaseRecord>> LeaseBook::records() const {
  std::vector<std::pair<Ipv4, LeaseRecord>> found;
  for (const Ipv4 address : addresses()) found.emplace_back(address, read(address));
  return found;
}

Error no_address_of(const AddressPool& pool, std::string_view address) {
  return Error::make(Errc::invalid, "address '{}' is none for a container in {}", printable(address),
                     to_string(pool.subnet))
      .with_hint(fmt::format("the gateway is {}", to_string(pool.gateway)));
}

Error no_address_of(const Subnet6& subnet, std::string_view address) {
  return Error::make(Errc::invalid, "address '{}' is none of {}", printable(address), to_string(subnet))
      .with_hint("--ip6 is within the IPv6 subnet of the network");
}

Error no_ipv6_on(std::string_view network) {
  return Error::make(Errc::invalid, "network '{}' has no IPv6 that --ip6 could be of", network)
      .with_hint("make the network with --ipv6");
}

std::string lease_text(const LeaseRecord& record) {
  Json ports = Json::array();
  for (const PortMapping& port : record.ports) ports.push_back(port_to_json(port));
  Json json{{"container", record.container}, {"veth", record.veth}, {"ports", ports}};
  if (!record.mac.empty()) json["mac"] = record.mac;
  if (!record.names.empty()) json["names"] = record.names;
  if (!record.folder.empty()) json["folder"] = record.folder;
  if (!record.address6.empty()) json["address6"] = record.address6;
  return dump_json(json);
}

LeaseRecord parse_lease(std::string_view text) {
  try {
    const bool has_ended = text.ends_with(kEnded);
    while (text.ends_with(kEnded)) text.remove_suffix(kEnded.size());  // taken over, and left before a start
    const Json document = parse_json(text, "lease");
    LeaseRecord record{.container = json_string(document, "container"),
                       .veth = json_string(document, "veth"),
                       .ports = {},
                       .mac = json_string_or(document, "mac", {}),
                       .names = json_find(document, "names") == nullptr ? std::vector<std::string>{}
                                                                        : json_strings(document, "names"),
                       .folder = json_string_or(document, "folder", {}),
                       .address6 = json_string_or(document, "address6", {}),
                       .has_ended = has_ended};
    for (const Json& port : json_array(document, "ports")) record.ports.push_back(port_from_json(port));
    return record;
  } catch (const Error&) {
    return {};  // killed while it was written: nothing but the address had been taken by then
  }
}

}  // namespace lay::runner
