#include "network/senders.h"

#include <arpa/inet.h>
#include <libnftnl/common.h>
#include <libnftnl/set.h>
#include <linux/netfilter.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "network/nftables_messages.h"
#include "network/nftables_rule_builder.h"
#include "network/sender_rules.h"

namespace lay::runner {

namespace {

using Key = std::vector<std::uint8_t>;

/// Types as nft(8) numbers them, for `nft list` to show; a concatenation packs six bits for each part.
constexpr std::uint32_t kTypeAddress = 7;
constexpr std::uint32_t kTypeIpv6 = 8;
constexpr std::uint32_t kTypeMac = 9;
constexpr std::uint32_t kTypeLink = 41;
constexpr std::uint32_t kTypeBits = 6;

/// NF_BR_PRI_NAT_DST_BRIDGED of linux/netfilter_bridge.h, which cannot stand beside net/if.h.
constexpr std::int32_t kBeforeBrNetfilter = -300;

/// A note of nft(8)'s to itself, without which `nft list` misreads names: keys are in the host's byte order.
constexpr std::array<std::uint8_t, 6> kHostOrder{0, 4, 1, 0, 0, 0};

struct SetPlan {
  const char* name;
  std::uint32_t type;
  std::uint32_t length;  ///< of a key, bytes; each part fills whole registers of 4
};
constexpr std::uint32_t kMacsType = (kTypeLink << kTypeBits) | kTypeMac;
constexpr std::array kSets{SetPlan{kLinkSet, kTypeLink, IFNAMSIZ}, SetPlan{kMacSet, kMacsType, IFNAMSIZ + 8},
                           SetPlan{kAddressSet, (kMacsType << kTypeBits) | kTypeAddress, IFNAMSIZ + 8 + 4},
                           SetPlan{kLinkLocalSet, (kMacsType << kTypeBits) | kTypeIpv6, IFNAMSIZ + 8 + 16}};
constexpr std::size_t kMacKeyLength = IFNAMSIZ + 8;

NetlinkMessage set_message(const std::string& table, const SetPlan& plan, std::uint32_t id) {
  const auto set = own(nftnl_set_alloc(), nftnl_set_free);
  nftnl_set_set_str(set.get(), NFTNL_SET_TABLE, table.c_str());
  nftnl_set_set_str(set.get(), NFTNL_SET_NAME, plan.name);
  nftnl_set_set_u32(set.get(), NFTNL_SET_FAMILY, NFPROTO_BRIDGE);
  nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_TYPE, plan.type);
  nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_LEN, plan.length);
  nftnl_set_set_u32(set.get(), NFTNL_SET_ID, id);
  nftnl_set_set_data(set.get(), NFTNL_SET_USERDATA, kHostOrder.data(), kHostOrder.size());
  NetlinkMessage message = begin_nft_message(fmt::format("add nftables set '{}'", plan.name), NFT_MSG_NEWSET,
                                             NLM_F_CREATE, NFPROTO_BRIDGE);
  nftnl_set_nlmsg_build_payload(message.header(), set.get());
  return message;
}

NetlinkMessage element_message(const std::string& table, const char* set_name, const Key& key,
                               std::uint16_t type) {
  nftnl_set_elem* element = nftnl_set_elem_alloc();
  if (element == nullptr) throw std::bad_alloc();
  const auto set = own(nftnl_set_alloc(), nftnl_set_free);
  nftnl_set_elem_add(set.get(), element);  // owns it from here on
  nftnl_set_set_str(set.get(), NFTNL_SET_TABLE, table.c_str());
  nftnl_set_set_str(set.get(), NFTNL_SET_NAME, set_name);
  nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, key.data(), static_cast<std::uint32_t>(key.size()));
  NetlinkMessage message = begin_nft_message(fmt::format("change nftables set '{}'", set_name), type,
                                             type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0, NFPROTO_BRIDGE);
  nftnl_set_elems_nlmsg_build_payload(message.header(), set.get());
  return message;
}

/// The address that the kernel gives a link by itself: fe80::/64 and the MAC address as an EUI-64 (RFC 4291).
std::array<std::uint8_t, 16> link_local_address(const MacAddress& mac) {
  constexpr std::uint8_t kUniversal = 2;
  return {
      0xfe,   0x80,   0,    0,    0,      0,      0,     0, static_cast<std::uint8_t>(mac[0] ^ kUniversal),
      mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]};
}

std::vector<Key> keys_of(const SetPlan& set, const Sender& sender) {
  Key key;
  for (const char c : padded_link_name(sender.link)) key.push_back(static_cast<std::uint8_t>(c));
  key.insert(key.end(), sender.mac.begin(), sender.mac.end());
  key.resize(kMacKeyLength);
  const auto address = network_bytes(sender.address);
  const auto link_local = link_local_address(sender.mac);
  if (set.name != kLinkLocalSet) {
    key.insert(key.end(), address.begin(), address.end());
    key.resize(set.length);  // those of links and of MAC addresses are beginnings of it
    return {key};
  }
  std::vector<Key> keys{key};
  keys[0].insert(keys[0].end(), link_local.begin(), link_local.end());
  if (sender.address6) {
    key.insert(key.end(), sender.address6->bytes.begin(), sender.address6->bytes.end());
    keys.push_back(std::move(key));
  }
  return keys;
}

void add_elements(std::vector<NetlinkMessage>& requests, const std::string& table, const Sender& sender) {
  for (const SetPlan& set : kSets)
    for (const Key& key : keys_of(set, sender))
      requests.push_back(element_message(table, set.name, key, NFT_MSG_NEWSETELEM));
}

std::vector<Key> keys_in(NetlinkSocket& socket, const std::string& table, const SetPlan& plan) {
  const auto filter = own(nftnl_set_alloc(), nftnl_set_free);
  nftnl_set_set_str(filter.get(), NFTNL_SET_TABLE, table.c_str());
  nftnl_set_set_str(filter.get(), NFTNL_SET_NAME, plan.name);
  NetlinkMessage question = begin_nft_message(fmt::format("list nftables set '{}'", plan.name),
                                              NFT_MSG_GETSETELEM, NLM_F_DUMP, NFPROTO_BRIDGE);
  nftnl_set_elems_nlmsg_build_payload(question.header(), filter.get());
  std::vector<Key> keys;
  socket.query(question, [&](const nlmsghdr& message) {
    const auto set = own(nftnl_set_alloc(), nftnl_set_free);
    if (nftnl_set_elems_nlmsg_parse(&message, set.get()) < 0) return;
    const auto take = [](nftnl_set_elem* element, void* into) {
      std::uint32_t length = 0;
      const auto* key =
          static_cast<const std::uint8_t*>(nftnl_set_elem_get(element, NFTNL_SET_ELEM_KEY, &length));
      if (key != nullptr) static_cast<std::vector<Key>*>(into)->emplace_back(key, key + length);
      return 0;
    };
    nftnl_set_elem_foreach(set.get(), take, &keys);
  });
  return keys;
}

/// The keys in `set` that none of `senders` has.
std::vector<Key> stale_keys(NetlinkSocket& socket, const std::string& table, const SetPlan& set,
                            std::span<const Sender> senders) {
  std::vector<Key> stale = keys_in(socket, table, set);
  for (const Sender& sender : senders)
    for (const Key& key : keys_of(set, sender)) std::erase(stale, key);
  return stale;
}

bool is_without_bridge_family(int error_number) {
  return error_number == EOPNOTSUPP || error_number == EAFNOSUPPORT || error_number == EPROTONOSUPPORT;
}

}  // namespace

std::vector<Sender> senders_of(const LeaseBook& leases) {
  std::vector<Sender> senders;
  for (const auto& [address, record] : leases.held())
    if (!record.veth.empty())
      senders.push_back({record.veth, parse_mac(record.mac).value_or(mac_address(address)), address,
                         parse_ipv6(record.address6)});
  return senders;
}

bool has_sender_table(NetlinkSocket& socket, const std::string& table, Families families) {
  return count_rules(socket, table, NFPROTO_BRIDGE) == sender_rules(families).size();
}

bool make_sender_table(NetlinkSocket& socket, const std::string& table, std::span<const Sender> senders,
                       Families families) {
  std::vector<NetlinkMessage> requests = renew_table(table, NFPROTO_BRIDGE);
  std::uint32_t id = 0;
  for (const SetPlan& set : kSets) requests.push_back(set_message(table, set, ++id));
  requests.push_back(chain_message(table, {kSenderChain, "filter", NF_INET_PRE_ROUTING, kBeforeBrNetfilter},
                                   NFPROTO_BRIDGE));
  for (const SenderRule& rule : sender_rules(families)) requests.push_back(make_sender_rule(table, rule));
  for (const Sender& sender : senders) add_elements(requests, table, sender);
  const std::vector<NetlinkMessage> batch = transaction(std::move(requests));
  const std::optional<NetlinkFailure> failure = socket.try_run(batch);
  if (!failure) return true;
  if (is_without_bridge_family(failure->error_number)) return false;
  throw failure->error(batch[failure->index].what());
}

void delete_sender_table(NetlinkSocket& socket, const std::string& table) {
  const std::vector<NetlinkMessage> batch = transaction(remove_table(table, NFPROTO_BRIDGE));
  const std::optional<NetlinkFailure> failure = socket.try_run(batch);
  if (failure && !is_without_bridge_family(failure->error_number))
    throw failure->error(batch[failure->index].what());
}

std::vector<NetlinkMessage> admit_sender(const std::string& table, const Sender& sender) {
  std::vector<NetlinkMessage> requests;
  add_elements(requests, table, sender);
  return requests;
}

bool has_stale_senders(NetlinkSocket& socket, const std::string& table, std::span<const Sender> senders) {
  return std::any_of(kSets.begin(), kSets.end(),
                     [&](const SetPlan& set) { return !stale_keys(socket, table, set, senders).empty(); });
}

void dismiss_stale_senders(NetlinkSocket& socket, const std::string& table, std::span<const Sender> senders) {
  std::vector<NetlinkMessage> requests;
  for (const SetPlan& set : kSets)
    for (const Key& key : stale_keys(socket, table, set, senders))
      requests.push_back(element_message(table, set.name, key, NFT_MSG_DELSETELEM));
  if (!requests.empty()) socket.run(transaction(std::move(requests)));
}

}  // namespace lay::runner
