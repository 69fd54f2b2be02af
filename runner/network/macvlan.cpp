#include "network/macvlan.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/if_ether.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"

namespace lay::runner {

namespace {

constexpr int kQuestions = 2;
constexpr std::chrono::milliseconds kPatience(200);  // after each

sockaddr_ll link_address(int index) {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ARP);
  address.sll_ifindex = index;
  return address;
}

/// A socket that hears the ARP packets of one link; its address holds the link's MAC address.
struct ArpSocket {
  UniqueFd fd;
  sockaddr_ll own{};
};

ArpSocket open_arp(int index) {
  ArpSocket socket{
      UniqueFd(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ARP)))};
  if (!socket.fd) throw Error::from_errno("open a packet socket");
  const sockaddr_ll wish = link_address(index);
  if (::bind(socket.fd.get(), reinterpret_cast<const sockaddr*>(&wish), sizeof wish) < 0)
    throw Error::from_errno("bind a packet socket to link {}", index);
  socklen_t size = sizeof socket.own;
  if (::getsockname(socket.fd.get(), reinterpret_cast<sockaddr*>(&socket.own), &size) < 0)
    throw Error::from_errno("look up the MAC address of link {}", index);
  return socket;
}

/// "Who has `address`?" without an address of the asker's own: nobody learns anything from it.
void ask(const ArpSocket& socket, Ipv4 address) {
  ether_arp question{};
  question.arp_hrd = htons(ARPHRD_ETHER);
  question.arp_pro = htons(ETHERTYPE_IP);
  question.arp_hln = ETH_ALEN;
  question.arp_pln = sizeof question.arp_tpa;
  question.arp_op = htons(ARPOP_REQUEST);
  std::memcpy(question.arp_sha, socket.own.sll_addr, ETH_ALEN);
  const auto bytes = network_bytes(address);
  std::memcpy(question.arp_tpa, bytes.data(), bytes.size());
  sockaddr_ll everybody = link_address(socket.own.sll_ifindex);
  everybody.sll_halen = ETH_ALEN;
  std::memset(everybody.sll_addr, 0xff, ETH_ALEN);
  if (::sendto(socket.fd.get(), &question, sizeof question, 0, reinterpret_cast<const sockaddr*>(&everybody),
               sizeof everybody) < 0)
    throw Error::from_errno("ask who has {}", to_string(address));
}

/// Whether one of the packets that wait comes from `address`.
bool hears(const ArpSocket& socket, Ipv4 address) {
  const auto bytes = network_bytes(address);
  for (;;) {
    ether_arp packet{};
    const ssize_t count =
        sys::retry_eintr([&] { return ::recv(socket.fd.get(), &packet, sizeof packet, MSG_TRUNC); });
    if (count < 0 && errno == EAGAIN) return false;
    if (count < 0) throw Error::from_errno("hear who has {}", to_string(address));
    if (static_cast<std::size_t>(count) < sizeof packet) continue;
    if (std::memcmp(packet.arp_spa, bytes.data(), bytes.size()) == 0) return true;
  }
}

}  // namespace

Link find_parent(NetlinkSocket& socket, const std::string& name) {
  const std::optional<Link> link = find_link(socket, name);
  if (!link)
    throw Error::make(Errc::not_found, "the parent link '{}' is not there", printable(name))
        .with_hint("`ip link` lists this machine's");
  return *link;
}

bool is_in_use(const Link& parent, const std::string& parent_name, Ipv4 address) {
  try {
    const ArpSocket socket = open_arp(parent.index);
    for (int i = 0; i < kQuestions; ++i) {
      ask(socket, address);
      const auto end = std::chrono::steady_clock::now() + kPatience;
      for (;;) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
        if (left.count() <= 0) break;
        pollfd entry{socket.fd.get(), POLLIN, 0};
        static_cast<void>(::poll(&entry, 1, static_cast<int>(left.count())));
        if (hears(socket, address)) return true;
      }
    }
    return false;
  } catch (Error& error) {
    error.add_context(fmt::format("parent link '{}'", printable(parent_name)));
    if (error.error_number() == ENETDOWN) error.with_hint(fmt::format("ip link set {} up", parent_name));
    throw;
  }
}

}  // namespace lay::runner
