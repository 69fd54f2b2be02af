#include <catch2/catch.hpp>

#include "network/names.h"
#include "network_fixture.h"

using namespace lay;
using namespace lay::test;

namespace {

/// A host that forwards, beside another machine, with a table of another tool in it.
struct FirewalledHost : TwoMachines {
  explicit FirewalledHost(const std::string& table) {
    in_host("echo 1 >/proc/sys/net/ipv4/ip_forward");
    in_host("nft '" + table + "'");
  }
  std::vector<std::string> notes() const { return NetworkContainer(run, "one", {"8080:80"}).got().notes; }
};

constexpr const char* kDockersTable =
    "add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }";
constexpr const char* kFirewalldsTable =
    "add table inet firewalld; "
    "add chain inet firewalld filter_FORWARD { type filter hook forward priority 10; policy accept; }; "
    "add rule inet firewalld filter_FORWARD ct state established,related accept; "
    "add rule inet firewalld filter_FORWARD counter reject with icmpx admin-prohibited";

}  // namespace

TEST_CASE("N09: a foreign chain that drops forwarded packets is named, and following the note opens the way",
          "[runner][network][firewall]") {
  const auto table = GENERATE(as<std::string>{}, kDockersTable, kFirewalldsTable);
  const FirewalledHost world(table);
  const NetworkContainer web(world.run, "web", {"8080:80"});
  const UniqueFd server = serve(web.netns(), SOCK_STREAM, "0.0.0.0", 80);
  const UniqueFd outside = serve(world.outside.netns(), SOCK_STREAM, "0.0.0.0", 9000);
  REQUIRE(web.got().notes.size() == 1);
  const std::string& note = web.got().notes[0];
  CHECK_THAT(note,
             Catch::Contains("'ip filter FORWARD'") || Catch::Contains("'inet firewalld filter_FORWARD'"));
  CHECK(note.find('\n') == std::string::npos);
  CHECK_FALSE(can_connect(world.outside.netns(), "198.51.100.1", 8080, 300));
  CHECK_FALSE(can_connect(web.netns(), "198.51.100.2", 9000, 300));

  world.in_host(note.substr(note.find("nft insert")));
  CHECK(can_connect(world.outside.netns(), "198.51.100.1", 8080));
  CHECK(can_connect(web.netns(), "198.51.100.2", 9000));
  const NetworkContainer next(world.run, "next", {"8081:80"});
  CHECK(next.got().notes.empty());
}

TEST_CASE("the note comes with each published port, also when the bridge is older than the chain",
          "[runner][network][firewall]") {
  const FirewalledHost world("add table inet other");
  const NetworkContainer first(world.run, "first", {"8080:80"});
  CHECK(first.got().notes.empty());
  world.in_host("nft '" + std::string(kDockersTable) + "'");
  CHECK(NetworkContainer(world.run, "second", {"8081:80"}).got().notes.size() == 1);
}

TEST_CASE("chains that let packets of containers pass are not named", "[runner][network][firewall]") {
  const std::string bridge = GENERATE(as<std::string>{}, "", "*");
  const TwoMachines names;
  const std::string name = bridge.empty() ? runner::network_names(names.run).bridge : "lay*";
  names.in_host("echo 1 >/proc/sys/net/ipv4/ip_forward");
  names.in_host("nft '" + std::string(kDockersTable) + "'");
  names.in_host(
      "nft 'add chain ip filter USER; add rule ip filter FORWARD jump USER; add rule ip filter USER iifname "
      "\"" +
      name + "\" counter accept; add rule ip filter USER oifname \"" + name + "\" counter accept'");
  CHECK(NetworkContainer(names.run, "one", {"8080:80"}).got().notes.empty());
}

TEST_CASE("a chain that accepts what it does not know is not named, and nobody's rules are touched",
          "[runner][network][firewall]") {
  const FirewalledHost world(
      "add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; }; "
      "add rule ip filter FORWARD ip daddr 192.0.2.1 drop; "
      "add chain ip filter INPUT { type filter hook input priority 0; policy drop; }; "
      "add rule ip filter INPUT accept");
  const std::string before = world.in_host("nft list table ip filter");
  CHECK(world.notes().empty());
  CHECK(world.in_host("nft list table ip filter") == before);
}
