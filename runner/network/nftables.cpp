#include "network/nftables.h"

#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <cerrno>

#include "network/nftables_messages.h"

namespace lay::runner {

namespace {

/// Types as nft(8) numbers them; the kernel only stores them for `nft list` to show. A concatenation packs
/// six bits for each part.
constexpr std::uint32_t kTypeAddress = 7;
constexpr std::uint32_t kTypeProtocol = 12;
constexpr std::uint32_t kTypePort = 13;
constexpr std::uint32_t kTypeBits = 6;
constexpr std::uint32_t kTargetType = (kTypeAddress << kTypeBits) | kTypePort;
constexpr std::uint32_t kAnyType = (kTypeProtocol << kTypeBits) | kTypePort;
constexpr std::uint32_t kExactType = (kTypeProtocol << 2 * kTypeBits) | kTargetType;

/// Each part of a key or value fills whole registers of this many bytes.
constexpr std::uint32_t kRegister = 4;

/// `id` is any number that is unique within the transaction.
NetlinkMessage map_message(const std::string& table, const char* name, std::uint32_t key_type,
                           std::uint32_t key_parts, std::uint32_t id) {
  const auto map = own(nftnl_set_alloc(), nftnl_set_free);
  nftnl_set_set_str(map.get(), NFTNL_SET_TABLE, table.c_str());
  nftnl_set_set_str(map.get(), NFTNL_SET_NAME, name);
  nftnl_set_set_u32(map.get(), NFTNL_SET_FAMILY, NFPROTO_IPV4);
  nftnl_set_set_u32(map.get(), NFTNL_SET_FLAGS, NFT_SET_MAP);
  nftnl_set_set_u32(map.get(), NFTNL_SET_KEY_TYPE, key_type);
  nftnl_set_set_u32(map.get(), NFTNL_SET_KEY_LEN, key_parts * kRegister);
  nftnl_set_set_u32(map.get(), NFTNL_SET_DATA_TYPE, kTargetType);
  nftnl_set_set_u32(map.get(), NFTNL_SET_DATA_LEN, 2 * kRegister);
  nftnl_set_set_u32(map.get(), NFTNL_SET_ID, id);
  NetlinkMessage message = begin_nft_message(fmt::format("add nftables map '{}'", name), NFT_MSG_NEWSET,
                                             NLM_F_CREATE, NFPROTO_IPV4);
  nftnl_set_nlmsg_build_payload(message.header(), map.get());
  return message;
}

/// Parts of a key or value, each at the start of a register, in network order.
class Registers {
 public:
  Registers& protocol(Protocol protocol) {
    return append(
        {static_cast<std::uint8_t>(protocol == Protocol::tcp ? IPPROTO_TCP : IPPROTO_UDP), 0, 0, 0});
  }
  Registers& address(Ipv4 address) { return append(network_bytes(address)); }
  Registers& port(std::uint16_t port) {
    return append({static_cast<std::uint8_t>(port >> 8), static_cast<std::uint8_t>(port & 0xff), 0, 0});
  }
  const std::vector<std::uint8_t>& bytes() const { return bytes_; }

 private:
  Registers& append(const std::array<std::uint8_t, kRegister>& part) {
    bytes_.insert(bytes_.end(), part.begin(), part.end());
    return *this;
  }
  std::vector<std::uint8_t> bytes_;
};

NetlinkMessage element_message(const std::string& table, const PublishedPort& published, std::uint16_t type) {
  const Ipv4 host = parse_ipv4(published.port.host_ip).value_or(Ipv4{});
  Registers key;
  key.protocol(published.port.protocol);
  if (host != Ipv4{}) key.address(host);
  key.port(published.port.host_port);
  Registers target;
  target.address(published.address).port(published.port.container_port);

  nftnl_set_elem* element = nftnl_set_elem_alloc();
  if (element == nullptr) throw std::bad_alloc();
  const auto set = own(nftnl_set_alloc(), nftnl_set_free);
  nftnl_set_elem_add(set.get(), element);  // owns it from here on
  nftnl_set_set_str(set.get(), NFTNL_SET_TABLE, table.c_str());
  nftnl_set_set_str(set.get(), NFTNL_SET_NAME, host == Ipv4{} ? kAnyMap : kExactMap);
  nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, key.bytes().data(),
                     static_cast<std::uint32_t>(key.bytes().size()));
  if (type == NFT_MSG_NEWSETELEM)
    nftnl_set_elem_set(element, NFTNL_SET_ELEM_DATA, target.bytes().data(),
                       static_cast<std::uint32_t>(target.bytes().size()));
  const bool is_new = type == NFT_MSG_NEWSETELEM;
  NetlinkMessage message =
      begin_nft_message(fmt::format("{} port {}", is_new ? "publish" : "withdraw", to_string(published.port)),
                        type, is_new ? NLM_F_CREATE : 0, NFPROTO_IPV4);
  nftnl_set_elems_nlmsg_build_payload(message.header(), set.get());
  return message;
}

std::vector<NetlinkMessage> element_messages(const std::string& table, std::span<const PublishedPort> ports,
                                             std::uint16_t type) {
  std::vector<NetlinkMessage> messages;
  for (const PublishedPort& port : ports) messages.push_back(element_message(table, port, type));
  return messages;
}

}  // namespace

bool has_nat_table(NetlinkSocket& socket, const std::string& name, Reach reach) {
  return count_rules(socket, name, NFPROTO_IPV4) == nat_rules(reach).size();
}

void make_nat_table(NetlinkSocket& socket, const NatTable& table, std::span<const PublishedPort> ports) {
  std::vector<NetlinkMessage> requests = renew_table(table.name, NFPROTO_IPV4);
  requests.push_back(map_message(table.name, kExactMap, kExactType, 3, 1));
  requests.push_back(map_message(table.name, kAnyMap, kAnyType, 2, 2));
  for (const ChainPlan& chain : nat_chains(table.reach))
    requests.push_back(chain_message(table.name, chain, NFPROTO_IPV4));
  for (const RulePlan& rule : nat_rules(table.reach)) requests.push_back(make_rule(table, rule));
  for (const PublishedPort& port : ports)
    requests.push_back(element_message(table.name, port, NFT_MSG_NEWSETELEM));
  socket.run(transaction(std::move(requests)));
}

void delete_nat_table(NetlinkSocket& socket, const std::string& name) {
  socket.run(transaction(remove_table(name, NFPROTO_IPV4)));
}

void publish_ports(NetlinkSocket& socket, const std::string& table, std::span<const PublishedPort> ports,
                   std::span<const NetlinkMessage> more) {
  std::vector<NetlinkMessage> requests = element_messages(table, ports, NFT_MSG_NEWSETELEM);
  requests.insert(requests.end(), more.begin(), more.end());
  if (requests.empty()) return;
  const std::vector<NetlinkMessage> batch = transaction(std::move(requests));
  const std::optional<NetlinkFailure> failure = socket.try_run(batch);
  if (!failure) return;
  const bool is_of_more = failure->index > ports.size();  // behind the begin mark
  if (more.empty() || !is_of_more || failure->error_number == EEXIST)
    throw failure->error(batch[failure->index].what());
  publish_ports(socket, table, ports, {});
}

void withdraw_ports(NetlinkSocket& socket, const std::string& table, std::span<const PublishedPort> ports) {
  std::vector<PublishedPort> left(ports.begin(), ports.end());
  while (!left.empty()) {
    const std::vector<NetlinkMessage> batch = transaction(element_messages(table, left, NFT_MSG_DELSETELEM));
    const std::optional<NetlinkFailure> failure = socket.try_run(batch);
    if (!failure) return;
    if (failure->error_number != ENOENT || failure->index == 0 || failure->index > left.size())
      throw failure->error(batch[failure->index].what());
    left.erase(left.begin() + static_cast<std::ptrdiff_t>(failure->index - 1));  // behind the begin mark
  }
}

}  // namespace lay::runner
