#include "runner/resolver.h"

#include <catch2/catch.hpp>

#include "error_of.h"
#include "rootfs/etc_files.h"

using namespace lay;
using namespace lay::runner;
using lay::test::error_of;

TEST_CASE("a host entry is a name and an address", "[runner][resolver]") {
  CHECK(parse_host_entry("db:192.0.2.7") == HostEntry{"db", "192.0.2.7"});
  CHECK(parse_host_entry("db_1.local=192.0.2.7") == HostEntry{"db_1.local", "192.0.2.7"});
  CHECK(parse_host_entry("six:2001:db8::1") == HostEntry{"six", "2001:db8::1"});
  CHECK(parse_host_entry("six:[::1]") == HostEntry{"six", "::1"});
  CHECK(parse_host_entry("me:host-gateway") == HostEntry{"me", "host-gateway"});
}

TEST_CASE("N07: what could add a line of its own to hosts or resolv.conf is refused", "[runner][resolver]") {
  for (const char* bad : {"", "db", ":192.0.2.7", "db:", "a b:192.0.2.7", "a\nb:192.0.2.7", "a;b:192.0.2.7",
                          "a#b:192.0.2.7", "-a:192.0.2.7", "db:192.0.2.7\n192.0.2.8 x", "db:192.0.2.7 x",
                          "db:host", "db:[::1", "db:fe80::1%eth0", "d\x7f:192.0.2.7"}) {
    CAPTURE(bad);
    const Error error = error_of([&] { parse_host_entry(bad); });
    CHECK(error.code() == Errc::invalid);
    CHECK(error.message().find('\n') == std::string::npos);
    CHECK_FALSE(error.hint().empty());
  }
  for (const char* bad : {"", "dns", "1.1.1.1 2.2.2.2", "1.1.1.1\noptions x", "1.1.1.1;", "::1%lo", "1.1.1"})
    CHECK(error_of([&] { check_name_server(bad); }).code() == Errc::invalid);
  for (const char* bad : {"", "..", "a b", "a\nb", "a;b", "a\tb", "-a", "a/b"})
    CHECK(error_of([&] { check_search_domain(bad); }).code() == Errc::invalid);
  for (const char* bad : {"", "ndots:1 x", "ndots:1\nnameserver 6.6.6.6", "a;b", "a#b"})
    CHECK(error_of([&] { check_resolver_option(bad); }).code() == Errc::invalid);
  CHECK_NOTHROW(check_name_server("2001:db8::53"));
  CHECK_NOTHROW(check_search_domain("corp.example"));
  CHECK_NOTHROW(check_search_domain("."));
  CHECK_NOTHROW(check_resolver_option("ndots:2"));
  CHECK_NOTHROW(check_resolver_option("single-request-reopen"));
}

TEST_CASE("name servers, domains and options each take the place of the host's", "[runner][resolver]") {
  const std::string host = "domain a\nsearch b c\nnameserver 9.9.9.9\noptions edns0\nsortlist x\n";
  CHECK(resolv_conf_text(host, {.servers = {"1.2.3.4", "::2"}}) ==
        "domain a\nsearch b c\noptions edns0\nsortlist x\nnameserver 1.2.3.4\nnameserver ::2\n");
  CHECK(resolv_conf_text(host, {.searches = {"x.org", "y"}}) ==
        "nameserver 9.9.9.9\noptions edns0\nsortlist x\nsearch x.org y\n");
  CHECK(resolv_conf_text(host, {.searches = {"."}}) == "nameserver 9.9.9.9\noptions edns0\nsortlist x\n");
  CHECK(resolv_conf_text("nameserver 9.9.9.9\noptions a\n", {.options = {"ndots:2", "b"}}) ==
        "nameserver 9.9.9.9\noptions ndots:2 b\n");
  CHECK(resolv_conf_text("nameserver 127.0.0.1\n", {.servers = {"1.2.3.4"}}) == "nameserver 1.2.3.4\n");
}

TEST_CASE("a network that is the host's keeps name servers on loopback", "[runner][resolver]") {
  CHECK(resolv_conf_text("nameserver 127.0.0.53\n", {}, HostLoopback::in_reach) == "nameserver 127.0.0.53\n");
  CHECK(resolv_conf_text("nameserver 127.0.0.53\n", {.servers = {"1.2.3.4"}}, HostLoopback::in_reach) ==
        "nameserver 1.2.3.4\n");
}

TEST_CASE("systemd-resolved is recognised by being the only name server", "[runner][resolver]") {
  CHECK(asks_systemd_resolved("# x\nnameserver 127.0.0.53\noptions edns0 trust-ad\n"));
  CHECK_FALSE(asks_systemd_resolved("nameserver 127.0.0.53\nnameserver 9.9.9.9\n"));
  CHECK_FALSE(asks_systemd_resolved("nameserver 127.0.0.1\n"));
  CHECK_FALSE(asks_systemd_resolved(""));
}

TEST_CASE("added hosts stand before the container's own name", "[runner][resolver]") {
  CHECK(hosts_text("box", "10.0.0.2", {{"db", "192.0.2.7"}}).ends_with("192.0.2.7\tdb\n10.0.0.2\tbox\n"));
}

TEST_CASE("what a resolver is told survives its file", "[runner][resolver]") {
  const ResolverConfig resolver{.servers = {"1.2.3.4"},
                                .searches = {"a"},
                                .options = {"b"},
                                .hosts = {{"c", "::1"}},
                                .hosts_file = EtcFile::images_own,
                                .resolver_file = EtcFile::images_own};
  const Json json = to_json(resolver);
  CHECK(parse_resolver(&json) == resolver);
  CHECK(parse_resolver(nullptr).is_default());
}
