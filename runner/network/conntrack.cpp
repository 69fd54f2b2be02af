#include "network/conntrack.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>

namespace lay::runner {

namespace {

using Bytes = std::span<const std::uint8_t>;

// CTA_FILTER_ORIG_FLAGS and CTA_FILTER_REPLY_FLAGS: the parts of the tuple that have to match. Not in the
// headers for user space; net/netfilter/nf_internals.h of the kernel
constexpr std::uint32_t kMatchSource = 1U << 0;
constexpr std::uint32_t kMatchProtocol = 1U << 3;
constexpr std::uint32_t kMatchTargetPort = 1U << 5;

std::uint64_t number(const std::optional<Bytes>& bytes) {
  std::uint64_t value = 0;
  if (bytes)
    for (const std::uint8_t byte : *bytes) value = (value << 8) | byte;
  return value;
}

/// One entry as the kernel lists it.
class Flow {
 public:
  explicit Flow(const nlmsghdr& message) : message_(message) {}

  std::optional<Bytes> original() const { return attribute(CTA_TUPLE_ORIG); }
  bool is_udp() const { return number(part(CTA_TUPLE_ORIG, CTA_TUPLE_PROTO, CTA_PROTO_NUM)) == IPPROTO_UDP; }
  std::uint64_t target_port() const {
    return number(part(CTA_TUPLE_ORIG, CTA_TUPLE_PROTO, CTA_PROTO_DST_PORT));
  }
  /// Who answers: the target after rewriting.
  bool is_answered_by(std::uint16_t attribute, Bytes address) const {
    const auto found = part(CTA_TUPLE_REPLY, CTA_TUPLE_IP, attribute);
    return found && std::equal(found->begin(), found->end(), address.begin(), address.end());
  }
  bool is_rewritten() const { return (number(attribute(CTA_STATUS)) & (IPS_SRC_NAT | IPS_DST_NAT)) != 0; }

 private:
  std::optional<Bytes> attribute(std::uint16_t type) const {
    return find_attribute(message_, sizeof(nfgenmsg), type);
  }
  std::optional<Bytes> part(std::uint16_t tuple, std::uint16_t group, std::uint16_t type) const {
    std::optional<Bytes> found = attribute(tuple);
    if (found) found = find_nested(*found, group);
    return found ? find_nested(*found, type) : std::nullopt;
  }
  const nlmsghdr& message_;
};

NetlinkMessage begin_message(std::string what, std::uint8_t type, std::uint16_t flags,
                             std::uint8_t address_family) {
  NetlinkMessage message(std::move(what), static_cast<std::uint16_t>((NFNL_SUBSYS_CTNETLINK << 8) | type),
                         flags);
  auto& family = message.fixed<nfgenmsg>();
  family.nfgen_family = address_family;
  family.version = NFNETLINK_V0;
  return message;
}

/// Deletes the flows that `is_stale` picks from the answer to `question`. The kernel picks beforehand where
/// it can (5.8), so that a long list is not carried over; `is_stale` checks it all again.
void forget(NetlinkSocket& socket, const NetlinkMessage& question,
            const std::function<bool(const Flow&)>& is_stale) {
  std::vector<NetlinkMessage> requests;
  socket.query(question, [&](const nlmsghdr& message) {
    const std::uint8_t family = fixed_part<nfgenmsg>(message).nfgen_family;
    const Flow flow(message);
    const std::optional<Bytes> original = flow.original();
    if (!original || !is_stale(flow)) return;
    requests.push_back(begin_message("forget a flow", IPCTNL_MSG_CT_DELETE, 0, family));
    requests.back().put(CTA_TUPLE_ORIG | NLA_F_NESTED, *original);
  });
  for (const NetlinkMessage& request : requests) {
    const std::optional<NetlinkFailure> failure = socket.try_run({&request, 1});
    if (failure && failure->error_number != ENOENT)
      throw failure->error(request.what());  // it may just have ended
  }
}

NetlinkMessage list_flows(std::uint8_t family) {
  return begin_message("list the flows", IPCTNL_MSG_CT_GET, NLM_F_DUMP, family);
}

void put_filter(NetlinkMessage& message, std::uint32_t original, std::uint32_t reply) {
  message.nest(CTA_FILTER, [&] {
    message.put_u32(CTA_FILTER_ORIG_FLAGS, original);
    message.put_u32(CTA_FILTER_REPLY_FLAGS, reply);
  });
}

/// `attribute` is that of the source's address in a tuple.
void forget_flows_to(NetlinkSocket& socket, std::uint8_t family, std::uint16_t attribute, Bytes address) {
  NetlinkMessage question = list_flows(family);
  question.nest(CTA_TUPLE_REPLY,
                [&] { question.nest(CTA_TUPLE_IP, [&] { question.put(attribute, address); }); });
  put_filter(question, 0, kMatchSource);
  forget(socket, question,
         [&](const Flow& flow) { return flow.is_udp() && flow.is_answered_by(attribute, address); });
}

}  // namespace

bool has_udp(const std::vector<PortMapping>& ports) {
  return std::any_of(ports.begin(), ports.end(),
                     [](const PortMapping& port) { return port.protocol == Protocol::udp; });
}

void forget_unpublished_flows(NetlinkSocket& socket, const std::vector<PortMapping>& ports) {
  for (const PortMapping& port : ports) {
    if (port.protocol != Protocol::udp) continue;
    const std::array<std::uint8_t, 2> number{static_cast<std::uint8_t>(port.host_port >> 8),
                                             static_cast<std::uint8_t>(port.host_port & 0xff)};
    NetlinkMessage question = list_flows(is_ipv6(port) ? AF_INET6 : AF_INET);
    question.nest(CTA_TUPLE_ORIG, [&] {
      question.nest(CTA_TUPLE_PROTO, [&] {
        question.put_u8(CTA_PROTO_NUM, IPPROTO_UDP);
        question.put(CTA_PROTO_DST_PORT, number);
      });
    });
    put_filter(question, kMatchProtocol | kMatchTargetPort, 0);
    // Rewritten ones are somebody's way out, to a server elsewhere that has the same port
    forget(socket, question, [&](const Flow& flow) {
      return flow.is_udp() && flow.target_port() == port.host_port && !flow.is_rewritten();
    });
  }
}

void forget_flows_to(NetlinkSocket& socket, Ipv4 address) {
  forget_flows_to(socket, AF_INET, CTA_IP_V4_SRC, network_bytes(address));
}

void forget_flows_to(NetlinkSocket& socket, const Ipv6& address) {
  forget_flows_to(socket, AF_INET6, CTA_IP_V6_SRC, address.bytes);
}

}  // namespace lay::runner
