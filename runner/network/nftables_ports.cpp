#include "network/nftables_ports.h"

#include <libnftnl/set.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "network/nftables_messages.h"

namespace lay::runner {

namespace {

/// Types as nft(8) numbers them; the kernel only stores them for `nft list` to show. A concatenation packs
/// six bits for each part.
constexpr std::uint32_t kTypeIpv4 = 7;
constexpr std::uint32_t kTypeIpv6 = 8;
constexpr std::uint32_t kTypeProtocol = 12;
constexpr std::uint32_t kTypePort = 13;
constexpr std::uint32_t kTypeBits = 6;
constexpr std::uint32_t kRegister = 4;  // bytes

/// What differs between the families.
struct Shape {
  std::uint32_t address_type;
  std::uint32_t address_size;

  std::uint32_t target_type() const { return (address_type << kTypeBits) | kTypePort; }
  std::uint32_t target_size() const { return address_size + kRegister; }
};

Shape shape_of(std::uint16_t family) {
  return family == NFPROTO_IPV6 ? Shape{kTypeIpv6, sizeof(Ipv6)} : Shape{kTypeIpv4, kRegister};
}

struct MapPlan {
  const char* name;
  std::uint32_t key_type;
  std::uint32_t key_size;
  std::uint32_t id;  ///< any number that is unique within the transaction
};

NetlinkMessage map_message(const std::string& table, const MapPlan& plan, std::uint16_t family) {
  const Shape shape = shape_of(family);
  const auto map = own(nftnl_set_alloc(), nftnl_set_free);
  nftnl_set_set_str(map.get(), NFTNL_SET_TABLE, table.c_str());
  nftnl_set_set_str(map.get(), NFTNL_SET_NAME, plan.name);
  nftnl_set_set_u32(map.get(), NFTNL_SET_FAMILY, family);
  nftnl_set_set_u32(map.get(), NFTNL_SET_FLAGS, NFT_SET_MAP);
  nftnl_set_set_u32(map.get(), NFTNL_SET_KEY_TYPE, plan.key_type);
  nftnl_set_set_u32(map.get(), NFTNL_SET_KEY_LEN, plan.key_size);
  nftnl_set_set_u32(map.get(), NFTNL_SET_DATA_TYPE, shape.target_type());
  nftnl_set_set_u32(map.get(), NFTNL_SET_DATA_LEN, shape.target_size());
  nftnl_set_set_u32(map.get(), NFTNL_SET_ID, plan.id);
  NetlinkMessage message = begin_nft_message(fmt::format("add nftables map '{}'", plan.name), NFT_MSG_NEWSET,
                                             NLM_F_CREATE, family);
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
  Registers& address(const Ipv6& address) {
    bytes_.insert(bytes_.end(), address.bytes.begin(), address.bytes.end());
    return *this;
  }
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

struct Element {
  const char* map;
  Registers key;
  Registers target;
};

template <class Address>
Element make_element(const PortMapping& port, const Address& host, const Address& container) {
  const bool is_any = host == Address{};
  Element element{.map = is_any ? kAnyMap : kExactMap, .key = {}, .target = {}};
  element.key.protocol(port.protocol);
  if (!is_any) element.key.address(host);
  element.key.port(port.host_port);
  element.target.address(container).port(port.container_port);
  return element;
}

Element element_of(const PublishedPort& published) {
  if (const auto host6 = parse_ipv6(published.port.host_ip))
    return make_element(published.port, *host6, published.address6);
  return make_element(published.port, parse_ipv4(published.port.host_ip).value_or(Ipv4{}), published.address);
}

NetlinkMessage element_message(const std::string& table, const PublishedPort& published,
                               ElementChange change) {
  const Element plan = element_of(published);
  nftnl_set_elem* element = nftnl_set_elem_alloc();
  if (element == nullptr) throw std::bad_alloc();
  const auto set = own(nftnl_set_alloc(), nftnl_set_free);
  nftnl_set_elem_add(set.get(), element);  // owns it from here on
  nftnl_set_set_str(set.get(), NFTNL_SET_TABLE, table.c_str());
  nftnl_set_set_str(set.get(), NFTNL_SET_NAME, plan.map);
  const auto put = [&](std::uint16_t attribute, const std::vector<std::uint8_t>& bytes) {
    nftnl_set_elem_set(element, attribute, bytes.data(), static_cast<std::uint32_t>(bytes.size()));
  };
  put(NFTNL_SET_ELEM_KEY, plan.key.bytes());
  const bool is_new = change == ElementChange::add;
  if (is_new) put(NFTNL_SET_ELEM_DATA, plan.target.bytes());
  NetlinkMessage message =
      begin_nft_message(fmt::format("{} port {}", is_new ? "publish" : "withdraw", to_string(published.port)),
                        is_new ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, is_new ? NLM_F_CREATE : 0,
                        is_ipv6(published.port) ? NFPROTO_IPV6 : NFPROTO_IPV4);
  nftnl_set_elems_nlmsg_build_payload(message.header(), set.get());
  return message;
}

}  // namespace

std::vector<NetlinkMessage> map_messages(const std::string& table, std::uint16_t family) {
  const Shape shape = shape_of(family);
  const MapPlan exact{.name = kExactMap,
                      .key_type = (kTypeProtocol << 2 * kTypeBits) | shape.target_type(),
                      .key_size = kRegister + shape.target_size(),
                      .id = 1};
  const MapPlan any{.name = kAnyMap,
                    .key_type = (kTypeProtocol << kTypeBits) | kTypePort,
                    .key_size = 2 * kRegister,
                    .id = 2};
  std::vector<NetlinkMessage> messages;
  for (const MapPlan& plan : {exact, any}) messages.push_back(map_message(table, plan, family));
  return messages;
}

std::vector<PublishedPort> ports_of(std::span<const PublishedPort> ports, std::uint16_t family) {
  std::vector<PublishedPort> found;
  for (const PublishedPort& port : ports)
    if (is_ipv6(port.port) == (family == NFPROTO_IPV6)) found.push_back(port);
  return found;
}

std::vector<NetlinkMessage> element_messages(const std::string& table, std::span<const PublishedPort> ports,
                                             ElementChange change) {
  std::vector<NetlinkMessage> messages;
  for (const PublishedPort& port : ports) messages.push_back(element_message(table, port, change));
  return messages;
}

}  // namespace lay::runner
