#include "http/address.h"

#include <catch2/catch.hpp>

using lay::registry::AddressClass;
using lay::registry::classify_literal;
using lay::registry::is_loopback_host;

TEST_CASE("R04: addresses are told apart by how near they are", "[registry][address]") {
  for (const char* ip :
       {"1.1.1.1", "172.15.0.1", "172.32.0.1", "100.128.0.1", "2606:4700::1", "::ffff:8.8.8.8"})
    CHECK(classify_literal(ip) == AddressClass::global);
  for (const char* ip : {"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fd00::1",
                         "::ffff:10.1.2.3", "64:ff9b::a01:203"})
    CHECK(classify_literal(ip) == AddressClass::internal);
  for (const char* ip : {"127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1"})
    CHECK(classify_literal(ip) == AddressClass::loopback);
  for (const char* ip : {"0.0.0.0", "0.1.2.3", "169.254.169.254", "::ffff:169.254.169.254", "fe80::1",
                         "::", "224.0.0.1", "255.255.255.255", "ff02::1", "not an address"})
    CHECK(classify_literal(ip) == AddressClass::link_local);
}

TEST_CASE("only this machine's own names and addresses may be spoken to in plain http",
          "[registry][address]") {
  for (const char* host : {"localhost", "127.0.0.1", "127.9.9.9", "[::1]", "::1"})
    CHECK(is_loopback_host(host));
  for (const char* host :
       {"localhost.example", "128.0.0.1", "0.0.0.0", "10.0.0.1", "[fe80::1]", "example.com", ""})
    CHECK_FALSE(is_loopback_host(host));
}
