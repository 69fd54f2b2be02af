#include <catch2/catch.hpp>
#include <csignal>

#include "container_fixture.h"
#include "network/names.h"
#include "network_fixture.h"

using namespace lay;
using lay::test::ContainerFixture;

namespace {

constexpr const char* kIdle = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done";

runner::ContainerConfig on_network(runner::ContainerConfig config, const std::string& network) {
  config.network = runner::parse_network(network);
  return config;
}

/// A veth goes with its network namespace, which the kernel takes down a moment after its last process.
bool all_links_go() {
  return test::poll_until([] { return test::shell("ip -o link | grep -v ' lo:'").output.empty(); });
}

}  // namespace

TEST_CASE("on the bridge a container has an address, and gives it back", "[runner][life]") {
  const test::HostNamespace host;
  const ContainerFixture fixture;
  const auto container = fixture.run_detached(
      on_network(fixture.script(std::string("nc -ll -p 8000 -e echo served & ") + kIdle), "bridge"));
  const auto state = container.state();
  CHECK(state.address.starts_with("10."));
  CHECK(state.gateway.starts_with("10."));
  CHECK(test::file_text(container.path() + "/hosts").find(state.address + "\t") != std::string::npos);
  const auto shown = fixture.exec(container, {.args = {"ip", "-4", "addr", "show", "eth0"}});
  CHECK(shown.output.find("inet " + state.address + "/") != std::string::npos);
  CHECK(fixture.exec(container, {.args = {"ip", "route"}}).output.find("default via " + state.gateway) == 0);
  CHECK(test::poll_until([&] {
    return test::shell("/bin/busybox nc -w 2 " + state.address + " 8000 </dev/null").output == "served\n";
  }));
  runner::stop_container(fixture.store(), container, std::chrono::seconds(0));
  CHECK(container.state().address.empty());
  runner::sweep_networks(fixture.store().run());
  CHECK(fixture.leftovers().empty());
  CHECK(all_links_go());
  CHECK(test::shell("nft list tables").output.empty());
}

TEST_CASE("after failed starts on the bridge nothing is left", "[runner][life]") {
  const test::HostNamespace host;
  const ContainerFixture fixture;
  CHECK(fixture.run(on_network(fixture.config({"no-such"}), "bridge")).status == 127);
  auto config = on_network(fixture.config({"true"}), "bridge");
  config.spec.mounts.push_back({"/data", "bind", "/no/such/folder", {"rbind"}});
  CHECK(fixture.run(config).status == 125);
  runner::sweep_networks(fixture.store().run());
  CHECK(fixture.leftovers().empty());
  CHECK(all_links_go());
  CHECK(test::shell("nft list tables").output.empty());
}

TEST_CASE("a container on another's network sees its links, name and address", "[runner][life]") {
  const test::HostNamespace host;
  const ContainerFixture fixture;
  const auto first = fixture.run_detached(on_network(fixture.script(kIdle), "bridge"));
  auto joining = fixture.config({"readlink", "/proc/self/ns/net"});
  joining.network = {.mode = runner::NetworkMode::container, .container = first.config().id};
  const auto result = fixture.run(joining);
  CHECK(result.errors.empty());
  const std::string path = "/proc/" + std::to_string(first.state().pid) + "/ns/net";
  CHECK(result.output == sys::readlink_at(sys::cwd(), path) + "\n");
  joining.spec.process.args = {"grep", first.state().address, "/etc/hosts"};
  CHECK(fixture.run(joining).status == 0);
  CHECK(fixture.exec(first, {.args = {"ip", "link", "show", "eth0"}}).status == 0);
  runner::stop_container(fixture.store(), first, std::chrono::seconds(0));
  const auto orphan = fixture.run(joining);
  CHECK(orphan.status == 125);
  CHECK(orphan.errors.find("is not running") != std::string::npos);
}

TEST_CASE("on the host's network a container shares its namespace and resolver", "[runner][life]") {
  const ContainerFixture fixture;
  const auto result =
      fixture.run(on_network(fixture.script("readlink /proc/self/ns/net; cat /etc/resolv.conf"), "host"));
  CHECK(result.output ==
        sys::readlink_at(sys::cwd(), "/proc/self/ns/net") + "\n" + test::file_text("/etc/resolv.conf"));
}
