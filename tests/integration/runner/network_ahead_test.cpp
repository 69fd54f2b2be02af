#include "runner/network_ahead.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <string>

#include "base/syscalls.h"
#include "in_child.h"
#include "process/namespaces.h"

using namespace lay;
using runner::ContainerConfig;
using runner::NamespacePlan;
using runner::NamespaceType;
using runner::NetworkAhead;

namespace {

NamespacePlan plan_of(std::uint64_t clone_flags) {
  NamespacePlan plan;
  plan.clone_flags = clone_flags;
  return plan;
}

ContainerConfig config_of(std::vector<runner::Namespace> namespaces) {
  ContainerConfig config;
  config.network.mode = runner::NetworkMode::none;
  config.spec.linux_.namespaces = std::move(namespaces);
  return config;
}

ino_t own_network() {
  return sys::stat_of(sys::open_at(sys::cwd(), "/proc/self/ns/net", O_RDONLY)).st_ino;
}

std::string loopback_of(const UniqueFd& network) {
  if (::setns(network.get(), CLONE_NEWNET) < 0) throw Error::from_errno("enter the network namespace");
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ::ifreq request{.ifr_ifrn = {"lo"}, .ifr_ifru = {}};
  if (::ioctl(socket.get(), SIOCGIFFLAGS, &request) < 0) throw Error::from_errno("ask for lo");
  return (request.ifr_flags & IFF_UP) != 0 ? "up" : "down";
}

/// In a user namespace that may have no network namespace.
std::string hand_over_where_none_can_be_made() {
  sys::write_all(sys::open_at(sys::cwd(), "/proc/sys/user/max_net_namespaces", O_WRONLY), "0");
  NamespacePlan plan = plan_of(CLONE_NEWNET);
  NetworkAhead(config_of({{NamespaceType::network, ""}})).hand_to(plan);
  return plan.joined.empty() && plan.clone_flags == CLONE_NEWNET ? "left to the clone" : "handed over";
}

}  // namespace

TEST_CASE("a network namespace is made ahead, and the caller stays in its own", "[runner][namespaces]") {
  const ino_t own = own_network();
  NamespacePlan plan = plan_of(CLONE_NEWNET | CLONE_NEWUTS);
  CHECK(NetworkAhead(config_of({{NamespaceType::network, ""}})).hand_to(plan));
  CHECK(plan.clone_flags == CLONE_NEWUTS);
  REQUIRE(plan.joined.size() == 1);
  CHECK(plan.joined.front().type == NamespaceType::network);
  CHECK(sys::stat_of(plan.joined.front().fd).st_ino != own);
  CHECK(own_network() == own);
  const auto result = test::in_child(0, [&] { return loopback_of(plan.joined.front().fd); });
  CHECK(result.error == "");
  CHECK(result.text == "up");
}

TEST_CASE("of a container with a network its loopback device is left to who connects it",
          "[runner][namespaces]") {
  ContainerConfig config = config_of({{NamespaceType::network, ""}});
  config.network.mode = runner::NetworkMode::bridge;
  NamespacePlan plan = plan_of(CLONE_NEWNET);
  CHECK_FALSE(NetworkAhead(config).hand_to(plan));
  REQUIRE(plan.joined.size() == 1);
  CHECK(test::in_child(0, [&] { return loopback_of(plan.joined.front().fd); }).text == "down");
}

TEST_CASE("no network namespace is begun where the container has no new one of lay's user namespace",
          "[runner][namespaces]") {
  ContainerConfig joined = config_of({{NamespaceType::network, ""}});
  joined.network.mode = runner::NetworkMode::container;
  ContainerConfig delegated = config_of({{NamespaceType::network, ""}});
  delegated.runtime.program = "/usr/bin/runc";
  CHECK_FALSE(NetworkAhead(config_of({{NamespaceType::uts, ""}})).has_begun());
  CHECK_FALSE(NetworkAhead(config_of({{NamespaceType::network, ""}, {NamespaceType::user, ""}})).has_begun());
  CHECK_FALSE(NetworkAhead(config_of({{NamespaceType::network, "/proc/self/ns/net"}})).has_begun());
  CHECK_FALSE(NetworkAhead(joined).has_begun());
  CHECK_FALSE(NetworkAhead(delegated).has_begun());
}

TEST_CASE("a network namespace that was made ahead is dropped where the plan wants none",
          "[runner][namespaces]") {
  const std::uint64_t flags =
      GENERATE(std::uint64_t{CLONE_NEWUTS}, std::uint64_t{CLONE_NEWNET} | std::uint64_t{CLONE_NEWUSER});
  NamespacePlan plan = plan_of(flags);
  CHECK_FALSE(NetworkAhead(config_of({{NamespaceType::network, ""}})).hand_to(plan));
  CHECK(plan.clone_flags == flags);
  CHECK(plan.joined.empty());
}

TEST_CASE("a network namespace that cannot be made ahead is left to the clone", "[runner][namespaces]") {
  const auto result = test::in_child(CLONE_NEWUSER, hand_over_where_none_can_be_made);
  CHECK(result.error.empty());
  CHECK(result.text == "left to the clone");
}
