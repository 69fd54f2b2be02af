#include "network/address_probe.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip6.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <span>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"

namespace lay::runner {

namespace {

constexpr int kQuestions = 2;
constexpr std::chrono::milliseconds kPatience(200);  // after each

/// A question to a wire, and how its answer is known.
class Probe {
 public:
  virtual ~Probe() = default;
  virtual void ask(const UniqueFd& socket, const sockaddr_ll& own) const = 0;
  /// Whether a packet, of which the beginning is given, comes from who has the address.
  virtual bool is_answer(std::span<const std::byte> packet) const = 0;
};

template <class T>
std::span<const std::byte> bytes_of(const T& packet) {
  return std::as_bytes(std::span(&packet, 1));
}

sockaddr_ll link_address(int index, std::uint16_t protocol) {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(protocol);
  address.sll_ifindex = index;
  return address;
}

void send_to(const UniqueFd& socket, sockaddr_ll target, const MacAddress& mac,
             std::span<const std::byte> packet) {
  target.sll_halen = ETH_ALEN;
  std::memcpy(target.sll_addr, mac.data(), mac.size());
  if (::sendto(socket.get(), packet.data(), packet.size(), 0, reinterpret_cast<const sockaddr*>(&target),
               sizeof target) < 0)
    throw Error::from_errno("ask on the wire");
}

/// "Who has `address`?" without an address of the asker's own: nobody learns anything from it.
class ArpProbe final : public Probe {
 public:
  explicit ArpProbe(Ipv4 address) : address_(network_bytes(address)) {}

  void ask(const UniqueFd& socket, const sockaddr_ll& own) const override {
    ether_arp question{};
    question.arp_hrd = htons(ARPHRD_ETHER);
    question.arp_pro = htons(ETHERTYPE_IP);
    question.arp_hln = ETH_ALEN;
    question.arp_pln = sizeof question.arp_tpa;
    question.arp_op = htons(ARPOP_REQUEST);
    std::memcpy(question.arp_sha, own.sll_addr, ETH_ALEN);
    std::memcpy(question.arp_tpa, address_.data(), address_.size());
    send_to(socket, link_address(own.sll_ifindex, ETH_P_ARP), {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
            bytes_of(question));
  }

  bool is_answer(std::span<const std::byte> packet) const override {
    ether_arp answer{};
    if (packet.size() < sizeof answer) return false;
    std::memcpy(&answer, packet.data(), sizeof answer);
    return std::memcmp(answer.arp_spa, address_.data(), address_.size()) == 0;
  }

 private:
  decltype(network_bytes(Ipv4{})) address_;
};

constexpr std::uint8_t kNotRouted = 255;  // the hop limit that only packets of the same wire have, RFC 4861

/// A neighbor solicitation or advertisement without options.
struct NeighborPacket {
  ip6_hdr ip{};
  nd_neighbor_solicit message{};  // an advertisement has the same form
};

/// RFC 4443 section 2.3: over a pseudo header and the message, whose own field is 0.
std::uint16_t checksum(const NeighborPacket& packet) {
  struct {
    in6_addr from, to;
    std::uint32_t length, protocol;
    nd_neighbor_solicit message;
  } const summed{packet.ip.ip6_src, packet.ip.ip6_dst, htonl(sizeof packet.message), htonl(IPPROTO_ICMPV6),
                 packet.message};
  std::array<std::uint16_t, sizeof summed / 2> words{};
  std::memcpy(words.data(), &summed, sizeof summed);
  std::uint32_t sum = 0;
  for (const std::uint16_t word : words) sum += word;
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

class NeighborProbe final : public Probe {
 public:
  explicit NeighborProbe(const Ipv6& address) : address_(address) {}

  void ask(const UniqueFd& socket, const sockaddr_ll& own) const override {
    const auto& last = address_.bytes;
    const std::array<std::uint8_t, 16> group{0xff, 2, 0, 0, 0,    0,        0,        0,
                                             0,    0, 0, 1, 0xff, last[13], last[14], last[15]};
    NeighborPacket question;
    question.ip.ip6_vfc = 6 << 4;
    question.ip.ip6_plen = htons(sizeof question.message);
    question.ip.ip6_nxt = IPPROTO_ICMPV6;
    question.ip.ip6_hlim = kNotRouted;
    std::memcpy(&question.ip.ip6_dst, group.data(), group.size());
    question.message.nd_ns_type = ND_NEIGHBOR_SOLICIT;
    std::memcpy(&question.message.nd_ns_target, last.data(), last.size());
    question.message.nd_ns_cksum = checksum(question);
    send_to(socket, link_address(own.sll_ifindex, ETH_P_IPV6),
            {0x33, 0x33, 0xff, last[13], last[14], last[15]}, bytes_of(question));
  }

  bool is_answer(std::span<const std::byte> packet) const override {
    NeighborPacket answer;
    if (packet.size() < sizeof answer) return false;
    std::memcpy(&answer, packet.data(), sizeof answer);
    return answer.ip.ip6_hlim == kNotRouted && answer.message.nd_ns_type == ND_NEIGHBOR_ADVERT &&
           std::memcmp(&answer.message.nd_ns_target, address_.bytes.data(), address_.bytes.size()) == 0;
  }

 private:
  Ipv6 address_;
};

/// Hears what comes in by the link, of one protocol. With IPv6 that is all traffic of a busy machine: only
/// neighbor advertisements are let through, which are sent to all nodes.
UniqueFd open_on_wire(int index, std::uint16_t protocol) {
  UniqueFd socket(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) throw Error::from_errno("open a packet socket");
  if (protocol == ETH_P_IPV6) {
    std::array<sock_filter, 6> program{{BPF_STMT(BPF_LD | BPF_B | BPF_ABS, offsetof(ip6_hdr, ip6_nxt)),
                                        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 0, 3),
                                        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, sizeof(ip6_hdr)),
                                        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ND_NEIGHBOR_ADVERT, 0, 1),
                                        BPF_STMT(BPF_RET | BPF_K, sizeof(NeighborPacket)),
                                        BPF_STMT(BPF_RET | BPF_K, 0)}};
    const sock_fprog filter{program.size(), program.data()};
    packet_mreq all_nodes{.mr_ifindex = index,
                          .mr_type = PACKET_MR_MULTICAST,
                          .mr_alen = ETH_ALEN,
                          .mr_address = {0x33, 0x33, 0, 0, 0, 1}};
    if (::setsockopt(socket.get(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) < 0 ||
        ::setsockopt(socket.get(), SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all_nodes, sizeof all_nodes) < 0)
      throw Error::from_errno("listen for neighbors");
  }
  const sockaddr_ll wish = link_address(index, protocol);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&wish), sizeof wish) < 0)
    throw Error::from_errno("bind a packet socket to link {}", index);
  return socket;
}

/// With the link's MAC address.
sockaddr_ll own_address(const UniqueFd& socket) {
  sockaddr_ll own{};
  socklen_t size = sizeof own;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&own), &size) < 0)
    throw Error::from_errno("look up the MAC address of a link");
  return own;
}

using Clock = std::chrono::steady_clock;

/// Whether one of the packets that wait is an answer. They may come faster than they are read: not after
/// `end`.
bool hears(const UniqueFd& socket, const Probe& probe, Clock::time_point end) {
  do {
    std::array<std::byte, sizeof(NeighborPacket)> packet{};
    const ssize_t count =
        sys::retry_eintr([&] { return ::recv(socket.get(), packet.data(), packet.size(), 0); });
    if (count < 0 && errno == EAGAIN) return false;
    if (count < 0) throw Error::from_errno("hear who answers");
    if (probe.is_answer(std::span(packet).first(static_cast<std::size_t>(count)))) return true;
  } while (Clock::now() < end);
  return false;
}

bool is_answered(const Link& parent, const std::string& parent_name, std::uint16_t protocol,
                 const Probe& probe) {
  try {
    const UniqueFd socket = open_on_wire(parent.index, protocol);
    const sockaddr_ll own = own_address(socket);
    for (int i = 0; i < kQuestions; ++i) {
      probe.ask(socket, own);
      const auto end = Clock::now() + kPatience;
      for (auto left = kPatience; left.count() > 0;
           left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now())) {
        pollfd entry{socket.get(), POLLIN, 0};
        static_cast<void>(::poll(&entry, 1, static_cast<int>(left.count())));
        if (hears(socket, probe, end)) return true;
      }
    }
    return false;
  } catch (Error& error) {
    error.add_context(fmt::format("parent link '{}'", printable(parent_name)));
    if (error.error_number() == ENETDOWN) error.with_hint(fmt::format("ip link set {} up", parent_name));
    throw;
  }
}

}  // namespace

bool is_in_use(const Link& parent, const std::string& parent_name, Ipv4 address) {
  return is_answered(parent, parent_name, ETH_P_ARP, ArpProbe(address));
}

bool is_in_use(const Link& parent, const std::string& parent_name, const Ipv6& address) {
  return is_answered(parent, parent_name, ETH_P_IPV6, NeighborProbe(address));
}

}  // namespace lay::runner
