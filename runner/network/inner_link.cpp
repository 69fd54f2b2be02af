#include "network/inner_link.h"

#include <sched.h>

#include <future>
#include <vector>

#include "base/error.h"
#include "network/host_sysctl.h"
#include "network/netlink_route.h"
#include "process/process.h"

namespace lay::runner {

namespace {

std::string name_of_link(unsigned number) {
  return fmt::format("eth{}", number);
}

unsigned free_number(NetlinkSocket& inside) {
  for (unsigned number = 0;; ++number)
    if (!find_link(inside, name_of_link(number))) return number;
}

void run_one(NetlinkSocket& socket, const NetlinkMessage& request) {
  socket.run({&request, 1});
}

/// Addresses and routes of the link `index`. Of several default routes the first link's is used.
std::vector<NetlinkMessage> plan_addresses(int index, unsigned number, const InnerLink& plan) {
  constexpr unsigned kMetric6 = 1024;  // what the kernel makes of 0
  std::vector<NetlinkMessage> setup{set_link_up(kLoopbackIndex), set_link_up(index),
                                    add_address(index, plan.address, plan.subnet)};
  if (plan.address6) setup.push_back(add_address6(index, plan.address6->address, plan.address6->subnet));
  if (!plan.gateway) return setup;
  setup.push_back(add_default_route(index, *plan.gateway, number));
  if (plan.address6) setup.push_back(add_default_route6(index, plan.address6->gateway, kMetric6 + number));
  return setup;
}

}  // namespace

void set_up_inside(NetlinkSocket& host, const UniqueFd& netns, const InnerLink& plan) {
  set_namespaces(netns, CLONE_NEWNET);
  // Before the link is there, which takes its settings from "default": no router advertisement is believed,
  // and an address need not wait a second for its duplicate
  try_write_setting("ipv6/conf/default/accept_ra", "0");
  try_write_setting("ipv6/conf/default/accept_dad", "0");
  NetlinkSocket inside = NetlinkSocket::open(NETLINK_ROUTE);
  const unsigned number = plan.number ? *plan.number : free_number(inside);
  const std::string name = name_of_link(number);
  host.run(plan.make(name));
  const std::optional<Link> link = find_link(inside, name);
  if (!link) throw Error::make(Errc::io, "link '{}' vanished while it was set up", name);
  try {
    inside.run(plan_addresses(link->index, number, plan));
  } catch (const Error&) {
    run_one(inside,
            delete_link(name));  // a link that is only half set up would stay in a container that runs
    throw;
  }
}

void remove_inside(const UniqueFd& netns, const MacAddress& mac) {
  std::async(std::launch::async, [&] {
    set_namespaces(netns, CLONE_NEWNET);
    NetlinkSocket inside = NetlinkSocket::open(NETLINK_ROUTE);
    if (const auto name = find_link_name(inside, mac)) run_one(inside, delete_link(*name));
  }).get();
}

}  // namespace lay::runner
