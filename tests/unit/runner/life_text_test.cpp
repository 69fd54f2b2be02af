#include <catch2/catch.hpp>
#include <csignal>

#include "container/container_json.h"
#include "container/log_format.h"
#include "container/names.h"
#include "error_of.h"
#include "process/command.h"
#include "rootfs/etc_files.h"
#include "runner/lifecycle.h"
#include "security/sysctl.h"

using namespace lay;
using namespace lay::runner;
using lay::test::error_of;

TEST_CASE("container names are letters, digits and three signs", "[runner][container]") {
  for (const char* name : {"a", "web-1", "A_b.c", "0"}) CHECK(is_container_name(name));
  for (const char* name : {"", "-a", ".", "..", "a/b", "../x", "a b", "a\n", "\xc3\xa4", "_a"})
    CHECK_FALSE(is_container_name(name));
  CHECK_FALSE(is_container_name(std::string(129, 'a')));
  CHECK(is_container_name(random_name()));
}

TEST_CASE("container.json and state.json survive a round trip", "[runner][container]") {
  ContainerConfig config{.id = std::string(64, 'a'),
                         .name = "web",
                         .created = *parse_time("2026-11-22T21:33:17Z"),
                         .lowers = {"/l1", "/l2"},
                         .open_stdin = true,
                         .stop_signal = "SIGQUIT",
                         .stop_timeout = 3,
                         .labels = {{"a", "b"}},
                         .notes = {{"image", "debian:12"}}};
  config.network.ports = {{"127.0.0.1", 53, 5353, Protocol::udp}};
  CHECK(to_json(parse_container_config(to_json(config))) == to_json(config));

  const ContainerState state{.status = Status::exited,
                             .pid_start_time = 5,
                             .started = config.created,
                             .exit_code = 3,
                             .address = "10.99.0.2",
                             .error = "x"};
  CHECK(to_json(parse_container_state(to_json(state))) == to_json(state));
  CHECK(error_of([] { parse_container_state(Json{{"status", "asleep"}}); }).code() == Errc::invalid);
}

TEST_CASE("signals are known by name, with or without SIG, and by number", "[runner][life]") {
  CHECK(parse_signal("TERM") == SIGTERM);
  CHECK(parse_signal("SIGTERM") == SIGTERM);
  CHECK(parse_signal("sigkill") == SIGKILL);
  CHECK(parse_signal("15") == 15);
  CHECK(parse_signal("SIGRTMIN+3") == 37);
  CHECK(parse_signal("RTMAX-1") == 63);
  for (const char* text : {"", "0", "65", "SIGNOPE", "-9", "RTMIN+99", "9 "})
    CHECK(error_of([&] { parse_signal(text); }).code() == Errc::invalid);
}

TEST_CASE("what is no signal brings no escape sequence to a terminal", "[runner][life]") {
  const Error error = error_of([&] { parse_signal("\x1b]0;title\a"); });
  CHECK(error.code() == Errc::invalid);
  CHECK(error.message().find('\x1b') == std::string::npos);
  CHECK(error.message().find('\a') == std::string::npos);
}

TEST_CASE("log lines are written for whole lines and pieces, and read back", "[runner][log]") {
  const Time time = *parse_time("2026-11-22T21:33:17Z") + std::chrono::nanoseconds(123456789);
  const std::string text = format_log(LogStream::err, "one\n\ntwo", time);
  CHECK(text ==
        "2026-11-22T21:33:17.123456789Z stderr F one\n"
        "2026-11-22T21:33:17.123456789Z stderr F \n"
        "2026-11-22T21:33:17.123456789Z stderr P two\n");
  const auto entry = parse_log_line("2026-11-22T21:33:17.1Z stdout P a b ");
  REQUIRE(entry);
  CHECK(entry->time == "2026-11-22T21:33:17.1Z");
  CHECK(entry->stream == LogStream::out);
  CHECK(entry->end == LineEnd::none);
  CHECK(entry->text == "a b ");
  for (const char* line : {"", "x", "t stdout", "t stdin F x", "t stdout X x"})
    CHECK_FALSE(parse_log_line(line));
}

TEST_CASE("a command with a slash is taken as it is, others are sought in PATH", "[runner][exec]") {
  CHECK(candidates("./a", {"PATH=/bin"}) == std::vector<std::string>{"./a"});
  CHECK(candidates("a", {"PATH=/x:/y", "PATH=/z::"}) == std::vector<std::string>{"/z/a", "./a", "./a"});
  CHECK(candidates("a", {}).size() == 6);
}

TEST_CASE("the hosts file has the container's name and address", "[runner][container]") {
  CHECK(hosts_text("box", "10.99.0.2").ends_with("10.99.0.2\tbox\n"));
  CHECK(hosts_text("box", "").ends_with("127.0.1.1\tbox\n"));
}

TEST_CASE("the host's hosts file takes the place of the loopback names, behind what is asked for",
          "[runner][container]") {
  CHECK(hosts_text("box", "", {{"db", "192.0.2.7"}}, "192.0.2.9 db of-the-host") ==
        "192.0.2.7\tdb\n192.0.2.9 db of-the-host\n127.0.1.1\tbox\n");
}

TEST_CASE("name servers on the host's loopback are dropped, with others in their place",
          "[runner][container]") {
  CHECK(resolv_conf_text("search a\nnameserver 127.0.0.53\nnameserver 9.9.9.9\noptions edns0\n") ==
        "search a\nnameserver 9.9.9.9\noptions edns0\n");
  const std::string fallback = resolv_conf_text("nameserver 127.0.0.53\nnameserver\t::1\n# note\n");
  CHECK(fallback.starts_with("# note\n# the host has only"));
  CHECK(fallback.find("127.") == std::string::npos);
  CHECK(fallback.find("nameserver ") != std::string::npos);
}

TEST_CASE("only sysctls of the container's own namespaces are let through", "[runner][spec]") {
  const auto check = [](const std::string& key, bool with_network) {
    Spec spec = default_spec();
    if (!with_network)
      std::erase_if(spec.linux_.namespaces, [](const auto& n) { return n.type == NamespaceType::network; });
    spec.linux_.sysctl = {{key, "1"}};
    check_sysctls(spec);
  };
  CHECK_NOTHROW(check("net.ipv4.ip_forward", true));
  CHECK_NOTHROW(check("kernel.shmmax", true));
  CHECK_NOTHROW(check("fs.mqueue.msg_max", true));
  CHECK_NOTHROW(check("net/ipv4/conf/eth0.1/forwarding", true));
  CHECK_NOTHROW(check("net.ipv4.conf.eth0/1.forwarding", true));
  CHECK_NOTHROW(check("kernel.domainname", true));
  CHECK_THROWS_AS(check("net.ipv4.ip_forward", false), Error);
  for (const char* key : {"kernel.core_pattern", "vm.swappiness", "net../../kernel/x", "net/../kernel/x",
                          "net..ipv4", "", "kernel.hostname"})
    CHECK_THROWS_AS(check(key, true), Error);
}
