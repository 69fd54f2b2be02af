#include "runner/start_ahead.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/statvfs.h>

#include <catch2/catch.hpp>
#include <string>

#include "base/syscalls.h"
#include "in_child.h"
#include "process/namespaces.h"

using namespace lay;
using runner::ContainerConfig;
using runner::NamespacePlan;
using runner::NamespaceType;
using runner::StartAhead;

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
  StartAhead(config_of({{NamespaceType::network, ""}})).hand_network_to(plan);
  return plan.joined.empty() && plan.clone_flags == CLONE_NEWNET ? "left to the clone" : "handed over";
}

}  // namespace

TEST_CASE("a network namespace is made ahead, and the caller stays in its own", "[runner][namespaces]") {
  const ino_t own = own_network();
  NamespacePlan plan = plan_of(CLONE_NEWNET | CLONE_NEWUTS);
  CHECK(StartAhead(config_of({{NamespaceType::network, ""}})).hand_network_to(plan));
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
  CHECK_FALSE(StartAhead(config).hand_network_to(plan));
  REQUIRE(plan.joined.size() == 1);
  CHECK(test::in_child(0, [&] { return loopback_of(plan.joined.front().fd); }).text == "down");
}

TEST_CASE("no network namespace is made ahead where the container has no new one of lay's user namespace",
          "[runner][namespaces]") {
  ContainerConfig joined = config_of({{NamespaceType::network, ""}});
  joined.network.mode = runner::NetworkMode::container;
  for (const ContainerConfig& config : {joined, config_of({{NamespaceType::uts, ""}}),
                                        config_of({{NamespaceType::network, ""}, {NamespaceType::user, ""}}),
                                        config_of({{NamespaceType::network, "/proc/self/ns/net"}})}) {
    NamespacePlan plan = plan_of(CLONE_NEWNET);
    CHECK_FALSE(StartAhead(config).hand_network_to(plan));
    CHECK(plan.clone_flags == CLONE_NEWNET);
    CHECK(plan.joined.empty());
  }
}

TEST_CASE("nothing is begun for a container that another runtime makes", "[runner][namespaces]") {
  ContainerConfig delegated = config_of({{NamespaceType::network, ""}});
  delegated.runtime.program = "/usr/bin/runc";
  CHECK_FALSE(StartAhead(delegated).has_begun());
}

TEST_CASE("lay's program is opened ahead", "[runner]") {
  StartAhead ahead(config_of({}));
  const UniqueFd program = ahead.take_program();
  CHECK(sys::stat_of(program).st_ino ==
        sys::stat_of(sys::open_at(sys::cwd(), "/proc/self/exe", O_RDONLY)).st_ino);
  struct ::statvfs mount {};
  REQUIRE(::fstatvfs(program.get(), &mount) == 0);
  CHECK((mount.f_flag & ST_RDONLY) != 0);
}

TEST_CASE("what was not made ahead is made when it is asked for", "[runner]") {
  CHECK(StartAhead().take_program());
  StartAhead once(config_of({}));
  CHECK(once.take_program());
  CHECK(once.take_program());
}

TEST_CASE("a network namespace that was made ahead is dropped where the plan wants none",
          "[runner][namespaces]") {
  const std::uint64_t flags =
      GENERATE(std::uint64_t{CLONE_NEWUTS}, std::uint64_t{CLONE_NEWNET} | std::uint64_t{CLONE_NEWUSER});
  NamespacePlan plan = plan_of(flags);
  CHECK_FALSE(StartAhead(config_of({{NamespaceType::network, ""}})).hand_network_to(plan));
  CHECK(plan.clone_flags == flags);
  CHECK(plan.joined.empty());
}

TEST_CASE("a network namespace that cannot be made ahead is left to the clone", "[runner][namespaces]") {
  const auto result = test::in_child(CLONE_NEWUSER, hand_over_where_none_can_be_made);
  CHECK(result.error.empty());
  CHECK(result.text == "left to the clone");
}
