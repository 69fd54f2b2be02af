#include "network/nftables.h"

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <new>

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

template <class T, class... Args>
using Owner = std::unique_ptr<T, void (*)(const T*)>;

template <class T>
Owner<T> own(T* object, void (*release)(const T*)) {
  if (object == nullptr) throw std::bad_alloc();
  return {object, release};
}

/// A request of the nf_tables subsystem without its payload.
NetlinkMessage begin_message(std::string what, std::uint16_t type, std::uint16_t flags) {
  NetlinkMessage message(std::move(what), 0, 0);
  nftnl_nlmsg_build_hdr(reinterpret_cast<char*>(message.header()), type, NFPROTO_IPV4, flags, 0);
  return message;
}

/// Puts the marks of a transaction around `requests`; the answer is asked of the last request.
std::vector<NetlinkMessage> transaction(std::vector<NetlinkMessage> requests) {
  requests.back().header()->nlmsg_flags |= NLM_F_ACK;
  NetlinkMessage begin("begin an nftables transaction", 0, 0);
  nftnl_batch_begin(reinterpret_cast<char*>(begin.header()), 0);
  NetlinkMessage end("end an nftables transaction", 0, 0);
  nftnl_batch_end(reinterpret_cast<char*>(end.header()), 0);
  requests.insert(requests.begin(), std::move(begin));
  requests.push_back(std::move(end));
  return requests;
}

NetlinkMessage table_message(const std::string& verb, const std::string& name, std::uint16_t type) {
  const auto table = own(nftnl_table_alloc(), nftnl_table_free);
  nftnl_table_set_str(table.get(), NFTNL_TABLE_NAME, name.c_str());
  const std::uint16_t flags = type == NFT_MSG_NEWTABLE ? NLM_F_CREATE : 0;
  NetlinkMessage message = begin_message(fmt::format("{} nftables table '{}'", verb, name), type, flags);
  nftnl_table_nlmsg_build_payload(message.header(), table.get());
  return message;
}

NetlinkMessage chain_message(const std::string& table, const ChainPlan& plan) {
  const auto chain = own(nftnl_chain_alloc(), nftnl_chain_free);
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TABLE, table.c_str());
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_NAME, plan.name.c_str());
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TYPE, plan.type.c_str());
  nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_HOOKNUM, plan.hook);
  nftnl_chain_set_s32(chain.get(), NFTNL_CHAIN_PRIO, plan.priority);
  nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_POLICY, NF_ACCEPT);
  NetlinkMessage message =
      begin_message(fmt::format("add nftables chain '{}'", plan.name), NFT_MSG_NEWCHAIN, NLM_F_CREATE);
  nftnl_chain_nlmsg_build_payload(message.header(), chain.get());
  return message;
}

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
  NetlinkMessage message =
      begin_message(fmt::format("add nftables map '{}'", name), NFT_MSG_NEWSET, NLM_F_CREATE);
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
      begin_message(fmt::format("{} port {}", is_new ? "publish" : "withdraw", to_string(published.port)),
                    type, is_new ? NLM_F_CREATE : 0);
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

bool has_nat_table(NetlinkSocket& socket, const std::string& name) {
  const auto filter = own(nftnl_rule_alloc(), nftnl_rule_free);
  nftnl_rule_set_str(filter.get(), NFTNL_RULE_TABLE, name.c_str());
  NetlinkMessage question =
      begin_message(fmt::format("list nftables table '{}'", name), NFT_MSG_GETRULE, NLM_F_DUMP);
  nftnl_rule_nlmsg_build_payload(question.header(), filter.get());
  std::size_t rules = 0;
  socket.query(question, [&](const nlmsghdr&) { ++rules; });
  return rules == nat_rules().size();
}

void make_nat_table(NetlinkSocket& socket, const NatTable& table, std::span<const PublishedPort> ports) {
  std::vector<NetlinkMessage> requests;
  // Made, so that it can be deleted whether or not it was there, and made anew
  requests.push_back(table_message("create", table.name, NFT_MSG_NEWTABLE));
  requests.push_back(table_message("replace", table.name, NFT_MSG_DELTABLE));
  requests.push_back(table_message("create", table.name, NFT_MSG_NEWTABLE));
  requests.push_back(map_message(table.name, kExactMap, kExactType, 3, 1));
  requests.push_back(map_message(table.name, kAnyMap, kAnyType, 2, 2));
  for (const ChainPlan& chain : nat_chains()) requests.push_back(chain_message(table.name, chain));
  for (const RulePlan& rule : nat_rules()) requests.push_back(make_rule(table, rule));
  for (const PublishedPort& port : ports)
    requests.push_back(element_message(table.name, port, NFT_MSG_NEWSETELEM));
  socket.run(transaction(std::move(requests)));
}

void delete_nat_table(NetlinkSocket& socket, const std::string& name) {
  std::vector<NetlinkMessage> requests;
  requests.push_back(table_message("remove", name, NFT_MSG_DELTABLE));
  const std::vector<NetlinkMessage> batch = transaction(std::move(requests));
  const std::optional<NetlinkFailure> failure = socket.try_run(batch);
  if (failure && failure->error_number != ENOENT) throw failure->error(batch[failure->index].what());
}

void publish_ports(NetlinkSocket& socket, const std::string& table, std::span<const PublishedPort> ports) {
  if (ports.empty()) return;
  socket.run(transaction(element_messages(table, ports, NFT_MSG_NEWSETELEM)));
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
