#include "process/network_ahead.h"

#include <fcntl.h>
#include <sched.h>

#include <catch2/catch.hpp>
#include <string>

#include "base/syscalls.h"
#include "in_child.h"

using namespace lay;
using runner::NamespacePlan;
using runner::NetworkAhead;

namespace {

NamespacePlan plan_of(std::uint64_t clone_flags) {
  NamespacePlan plan;
  plan.clone_flags = clone_flags;
  return plan;
}

ino_t own_network() {
  return sys::stat_of(sys::open_at(sys::cwd(), "/proc/self/ns/net", O_RDONLY)).st_ino;
}

/// In a user namespace that may have no network namespace.
std::string hand_over_where_none_can_be_made() {
  sys::write_all(sys::open_at(sys::cwd(), "/proc/sys/user/max_net_namespaces", O_WRONLY), "0");
  NamespacePlan plan = plan_of(CLONE_NEWNET);
  NetworkAhead(plan).hand_to(plan);
  return plan.joined.empty() && plan.clone_flags == CLONE_NEWNET ? "left to the clone" : "handed over";
}

}  // namespace

TEST_CASE("a network namespace is made ahead, and the caller stays in its own", "[runner][namespaces]") {
  const ino_t own = own_network();
  NamespacePlan plan = plan_of(CLONE_NEWNET | CLONE_NEWUTS);
  NetworkAhead(plan).hand_to(plan);
  CHECK(plan.clone_flags == CLONE_NEWUTS);
  REQUIRE(plan.joined.size() == 1);
  CHECK(plan.joined.front().type == runner::NamespaceType::network);
  CHECK(sys::stat_of(plan.joined.front().fd).st_ino != own);
  CHECK(own_network() == own);
}

TEST_CASE("a network namespace that nobody wants, or another user namespace owns, is not made ahead",
          "[runner][namespaces]") {
  const std::uint64_t flags =
      GENERATE(std::uint64_t{CLONE_NEWUTS}, std::uint64_t{CLONE_NEWNET} | std::uint64_t{CLONE_NEWUSER});
  NamespacePlan plan = plan_of(flags);
  NetworkAhead(plan).hand_to(plan);
  CHECK(plan.clone_flags == flags);
  CHECK(plan.joined.empty());
}

TEST_CASE("a network namespace that cannot be made ahead is left to the clone", "[runner][namespaces]") {
  const auto result = test::in_child(CLONE_NEWUSER, hand_over_where_none_can_be_made);
  CHECK(result.error.empty());
  CHECK(result.text == "left to the clone");
}
