#include "security/user_lookup.h"

#include <catch2/catch.hpp>

#include "error_of.h"

using namespace lay;
using namespace lay::runner;
using lay::test::error_of;

namespace {

constexpr const char* kPasswd =
    "root:x:0:0:root:/root:/bin/sh\n"
    "broken line\n"
    "bad:x:-1:0::/:\n"
    "app:x:1000:1001:An app:/home/app:/bin/sh\n"
    "2000:x:7:7::/seven:\n"
    "last:x:9:9::/last:/bin/sh";
constexpr const char* kGroup =
    "root:x:0:\n"
    "app:x:1001:app\n"
    "staff:x:50:other,app\n"
    "nothing\n"
    "wheel:x:10:other\n";

Account resolve(const std::string& username) {
  return resolve_user({.username = username}, kPasswd, kGroup);
}

}  // namespace

TEST_CASE("U03: a user name gives ids, memberships and home, the primary group first", "[runner][user]") {
  const Account app = resolve("app");
  CHECK(app.uid == 1000);
  CHECK(app.gid == 1001);
  CHECK(app.groups == std::vector<std::uint32_t>{1001, 50});
  CHECK(app.home == "/home/app");
  CHECK(resolve("last").uid == 9);
}

TEST_CASE("an explicit group replaces the memberships", "[runner][user]") {
  const Account app = resolve("app:wheel");
  CHECK(app.gid == 10);
  CHECK(app.groups == std::vector<std::uint32_t>{10});
  CHECK(resolve("app:77").gid == 77);
  CHECK(resolve("1000:staff").gid == 50);
}

TEST_CASE("a number needs no entry, and a name wins over a number", "[runner][user]") {
  CHECK(resolve("4711").uid == 4711);
  CHECK(resolve("4711").gid == 0);
  CHECK(resolve("4711").home == "/");
  CHECK(resolve("1000").gid == 1001);
  CHECK(resolve("2000").uid == 7);
}

TEST_CASE("without a name the numbers of the spec count", "[runner][user]") {
  const Account account = resolve_user({.uid = 1000, .gid = 5, .additional_gids = {6}}, kPasswd, kGroup);
  CHECK(account.uid == 1000);
  CHECK(account.gid == 5);
  CHECK(account.groups == std::vector<std::uint32_t>{5, 6});
  CHECK(account.home == "/home/app");
}

TEST_CASE("unknown names, broken lines and the id -1 are refused", "[runner][user]") {
  for (const char* name : {"nobody", "bad", "broken line", "4294967295", "-1", " 5", ":"}) {
    const Error error = error_of([&] { resolve(name); });
    CHECK(error.code() == Errc::not_found);
    CHECK(error.message().find("/etc/passwd") != std::string::npos);
  }
  CHECK(error_of([&] { resolve("app:none"); }).message() ==
        "group 'none' is not in the container's /etc/group");
}
