#include "http/same_site.h"

#include <catch2/catch.hpp>

#include "auth/authorizer.h"
#include "error_of.h"

using namespace lay::registry;
using lay::test::error_of;

TEST_CASE("R04: hosts are of one site by the public suffix list, and addresses only by themselves",
          "[registry][auth]") {
  CHECK(is_same_site("ghcr.io", "ghcr.io"));
  CHECK(is_same_site("auth.docker.io", "registry-1.docker.io"));
  CHECK(is_same_site("gitlab.com", "registry.gitlab.com"));
  CHECK(is_same_site("a.example.co.uk", "b.example.co.uk"));
  CHECK(is_same_site("10.0.0.5", "10.0.0.5"));
  CHECK(is_same_site("registry", "registry"));
  CHECK(is_same_site("localhost", "127.0.0.1"));
  CHECK(is_same_site("[::1]", "127.0.0.2"));
  CHECK_FALSE(is_same_site("a.co.uk", "b.co.uk"));
  CHECK_FALSE(is_same_site("a.github.io", "b.github.io"));
  CHECK_FALSE(is_same_site("docker.io.evil.net", "registry-1.docker.io"));
  CHECK_FALSE(is_same_site("evildocker.io", "registry-1.docker.io"));
  CHECK_FALSE(is_same_site("10.0.0.5", "11.0.0.5"));
  CHECK_FALSE(is_same_site("[fd00::1]", "[fd00::2]"));
  CHECK_FALSE(is_same_site("auth", "registry"));
  CHECK_FALSE(is_same_site("127.0.0.1.evil.net", "localhost"));
  CHECK_FALSE(is_same_site("", "registry"));
}

TEST_CASE("R04: credentials go to a token server of another site only when the user says so",
          "[registry][auth]") {
  const Url registry = Url::parse("https://reg.example.com");
  const Url foreign = Url::parse("https://sso.other.net/token");
  const auto check = [&](const Url& realm, const std::vector<std::string>& trusted) {
    return error_of([&] { check_realm_is_ours(realm, registry, trusted); });
  };
  CHECK_NOTHROW(check_realm_is_ours(Url::parse("https://auth.example.com/token"), registry, {}));
  CHECK_NOTHROW(check_realm_is_ours(foreign, registry, {"a.net", "sso.other.net"}));
  const lay::Error refused = check(foreign, {});
  CHECK(refused.code() == lay::Errc::denied);
  CHECK(refused.hint().find("LAY_TOKEN_SERVERS=sso.other.net") != std::string::npos);
  CHECK(check(foreign, {"other.net", "sso.other.net.evil"}).code() == lay::Errc::denied);
}
