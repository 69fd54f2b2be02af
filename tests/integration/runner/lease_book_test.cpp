#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <set>

#include "error_of.h"
#include "network/leases.h"
#include "network_fixture.h"

using namespace lay;
using namespace lay::test;
using runner::LeaseBook;

namespace {

const runner::Subnet kSubnet = runner::parse_subnet("10.99.0.0/16").value();

}  // namespace

TEST_CASE("twenty starts at once get twenty addresses", "[runner][network][leases]") {
  const TwoMachines world;
  std::vector<std::future<runner::BridgeAttachment>> starts;
  for (int i = 0; i < 20; ++i)
    starts.push_back(std::async(std::launch::async, [&world, i] {
      return runner::BridgeAttachment::reserve(world.run, "container " + std::to_string(i % 4), {});
    }));
  std::vector<runner::BridgeAttachment> attachments;
  for (auto& start : starts) attachments.push_back(start.get());
  std::set<std::string> addresses;
  for (const auto& attachment : attachments) addresses.insert(attachment.attachment().address);
  CHECK(addresses.size() == 20);
}

TEST_CASE("parallel starts and ends never meet a missing bridge", "[runner][network][leases]") {
  const TwoMachines world;
  const std::string before = world.traces();
  const auto comes_and_goes = [&world](int worker) {
    for (int i = 0; i < 5; ++i) {
      const auto port = static_cast<std::uint16_t>(9000 + 10 * worker + i);
      NetworkContainer container(world.run, fmt::format("{} {}", worker, i), {fmt::format("{}:80", port)});
      const UniqueFd server = serve(container.netns(), SOCK_STREAM, "0.0.0.0", 80);
      if (!can_connect(world.host.netns(), "127.0.0.1", port)) return false;
    }
    return true;
  };
  std::vector<pid_t> workers;  // processes, not threads: each end forks
  for (int worker = 0; worker < 4; ++worker) {
    workers.push_back(::fork());
    if (workers.back() == 0) ::_exit(comes_and_goes(worker) ? 0 : 1);
  }
  for (const pid_t worker : workers) {
    int status = 0;
    CHECK(::waitpid(worker, &status, 0) == worker);
    CHECK(status == 0);
  }
  CHECK(poll_until([&] { return world.traces() == before; }));
}

TEST_CASE("an address is leased once, and again when it was given back", "[runner][network][leases]") {
  const TempFolder folder;
  const LeaseBook leases = LeaseBook::open(folder.path() + "/run");
  auto first = leases.take(runner::AddressPool::of(kSubnet), "id");
  const runner::Ipv4 address = first.address;
  CHECK(leases.any_held());
  CHECK(leases.take(runner::AddressPool::of(kSubnet), "id").address != address);
  leases.drop(std::move(first));
  CHECK(leases.take(runner::AddressPool::of(kSubnet), "id").address == address);
}

TEST_CASE("gateway, network and broadcast address are never leased", "[runner][network][leases]") {
  const TempFolder folder;
  const LeaseBook leases = LeaseBook::open(folder.path() + "/run");
  const auto small = runner::parse_subnet("192.0.2.0/29").value();
  std::vector<runner::Lease> taken;
  std::set<std::string> addresses;
  for (int i = 0; i < 5; ++i) taken.push_back(leases.take(runner::AddressPool::of(small), "id"));
  for (const auto& lease : taken) addresses.insert(to_string(lease.address));
  CHECK(addresses == std::set<std::string>{"192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6"});
  CHECK(error_of([&] { leases.take(runner::AddressPool::of(small), "id"); }).message() ==
        "all 5 addresses of 192.0.2.0/29 are in use");
}

TEST_CASE("the address of a dead holder is free only when it was cleared up", "[runner][network][leases]") {
  const TempFolder folder;
  const LeaseBook leases = LeaseBook::open(folder.path() + "/run");
  const runner::LeaseRecord record{.container = "id", .veth = "lay0123", .ports = {{"127.0.0.1", 1, 2}}};
  runner::Ipv4 address;
  {
    const auto lease = leases.take(runner::AddressPool::of(kSubnet), "id");
    leases.write(lease, record);
    address = lease.address;
    REQUIRE(leases.held().size() == 1);
    CHECK(leases.held()[0] == std::pair(address, record));
    CHECK(leases.dead().empty());
  }
  CHECK(leases.take(runner::AddressPool::of(kSubnet), "id").address != address);
  auto dead = leases.dead();
  const auto entry =
      std::find_if(dead.begin(), dead.end(), [&](const auto& each) { return each.lease.address == address; });
  REQUIRE(entry != dead.end());
  CHECK(entry->record == record);
  leases.drop(std::move(entry->lease));
  CHECK(leases.take(runner::AddressPool::of(kSubnet), "id").address == address);
}

TEST_CASE("a lease tells whether its holder saw the end, and is taken over empty",
          "[runner][network][leases]") {
  const TempFolder folder;
  const LeaseBook leases = LeaseBook::open(folder.path() + "/run");
  runner::LeaseRecord record{.container = "id", .veth = "lay0123", .ports = {{"127.0.0.1", 1, 2}}};
  const auto lease = leases.take(runner::AddressPool::of(kSubnet), "id");
  leases.write(lease, record);
  LeaseBook::leave_dead(lease);
  record.has_ended = true;
  CHECK(leases.read(lease.address) == record);
  LeaseBook::leave_dead(*leases.take_over(lease.address));  // a successor that failed before it had a record
  CHECK(leases.read(lease.address) == record);
  const auto next = leases.take_over(lease.address);
  REQUIRE(next);
  CHECK_FALSE(leases.take_over(lease.address));
  leases.write(*next, {.container = "other"});
  CHECK(leases.read(lease.address).container == "other");
  CHECK_FALSE(leases.read(lease.address).has_ended);
}

TEST_CASE("a damaged network.json is as good as none", "[runner][network][leases]") {
  const TempFolder folder;
  const LeaseBook leases = LeaseBook::open(folder.path());
  CHECK_FALSE(leases.subnet());
  leases.save_subnet(kSubnet);
  CHECK(leases.subnet() == kSubnet);
  shell("echo '{' >" + folder.path() + "/network.json");
  CHECK_FALSE(leases.subnet());
}
