#include <catch2/catch.hpp>

#include "error_of.h"
#include "server/access/access_rules.h"
#include "server/access/authenticator.h"
#include "server/access/challenge.h"
#include "server/access/credential_cache.h"
#include "server/access/htpasswd.h"
#include "server/access/tokens.h"
#include "server/api/byte_range.h"
#include "server/api/refusal.h"
#include "server/api/request_headers.h"
#include "server/api/request_target.h"
#include "server/content/left_blobs.h"
#include "server/http/access_log.h"
#include "server/http/listener.h"

namespace lay::registry::server {

namespace {

int status_of(const std::string& target) {
  try {
    parse_request_target(target);
    return 200;
  } catch (const Refusal& refusal) {
    return refusal.status();
  }
}

using Ranges = std::vector<ByteRange>;

/// The challenge of a server at http://registry.example:5000 or, with TLS, https:.
std::string challenge(const LoginWays& ways, const std::string& host, const std::string& forwarded = "") {
  RequestHeaders headers;
  headers.add("Host", host);
  if (!forwarded.empty()) headers.add("X-Forwarded-Proto", forwarded);
  Request request{.method = "GET", .target = parse_request_target("/v2/a/b/tags/list")};
  return challenge_for(ways, headers, request);
}

const std::string kDigest = "sha256:" + std::string(64, 'a');
const std::string kId(32, 'b');

}  // namespace

TEST_CASE("a request's path is read from its end, so that a repository may have any number of parts",
          "[registry][server]") {
  const RequestTarget blob = parse_request_target("/v2/a/b/c/blobs/" + kDigest);
  CHECK(blob.endpoint == Endpoint::blob);
  CHECK(blob.repository == "a/b/c");
  CHECK(blob.reference == kDigest);
  CHECK(parse_request_target("/v2/a/blobs/uploads/").endpoint == Endpoint::upload_start);
  CHECK(parse_request_target("/v2/a/blobs/uploads").endpoint == Endpoint::upload_start);
  CHECK(parse_request_target("/v2/a/blobs/uploads/" + kId).reference == kId);
  CHECK(parse_request_target("/v2/manifests/manifests/latest").repository == "manifests");
  CHECK(parse_request_target("/v2/_catalog?n=5").parameter("n") == "5");
  CHECK(parse_request_target("http://host:1/v2/").endpoint == Endpoint::base);
  CHECK(parse_request_target("/v2/a/blobs/uploads/?digest=sha256%3Aaa").parameter("digest") == "sha256:aa");
}

TEST_CASE("G01: a path that breaks a grammar is refused before it can name a file", "[registry][server]") {
  for (const char* target :
       {"/v2/../etc/manifests/x", "/v2/%2e%2e/manifests/x", "/v2/a%2fb/manifests/x", "/v2/a//b/manifests/x",
        "/v2/A/manifests/x", "/v2/a\\b/manifests/x", "/v2/a/manifests/%00", "/v2/a/manifests/%zz",
        "/v2/a/manifests/.x", "/v2/a/blobs/md5:00", "/v2/a+b/manifests/x", "/v2/a/manifests/x%"})
    CHECK(status_of(target) == 400);
  for (const char* target :
       {"/", "/v1/", "/v2/a", "/v2/a/blobs/uploads/../x", "/v2/a/b/c", "/v2/a/blobs/sha256:../x", "*", ""})
    CHECK(status_of(target) == 404);
  CHECK(status_of("/v2/" + std::string(9000, 'a')) == 414);
}

TEST_CASE("a Range header gives the parts of a blob that are there", "[registry][server]") {
  CHECK(parse_range("bytes=0-9", 100) == Ranges{{0, 9}});
  CHECK(parse_range("bytes=90-", 100) == Ranges{{90, 99}});
  CHECK(parse_range("bytes=-10", 100) == Ranges{{90, 99}});
  CHECK(parse_range("bytes=-1000", 100) == Ranges{{0, 99}});
  CHECK(parse_range("bytes=0-9, 20-29", 100) == Ranges{{0, 9}, {20, 29}});
  CHECK(parse_range("bytes=100-", 100) == Ranges{});
  CHECK(parse_range("bytes=90-18446744073709551616", 100) == Ranges{{90, 99}});
  CHECK(parse_range("bytes=-18446744073709551616", 100) == Ranges{{0, 99}});
  CHECK(parse_range("bytes=0-9,", 100) == Ranges{{0, 9}});
  CHECK(parse_range("bytes=, ,0-9", 100) == Ranges{{0, 9}});
  CHECK(!parse_range("bytes=,", 100));
  CHECK(parse_range("bytes=0-", 0) == Ranges{});
  for (const char* header : {"bytes=9-0", "bytes=a-b", "lines=0-1", "bytes", "bytes=-", "bytes=0-99,0-99",
                             "bytes=99999999999999999999-"})
    CHECK(!parse_range(header, 100));
}

TEST_CASE("a chunk's Content-Range is read in both ways of writing it", "[registry][server]") {
  CHECK(parse_chunk_range("0-99") == ByteRange{0, 99});
  CHECK(parse_chunk_range("bytes 5-9/*") == ByteRange{5, 9});
  for (const char* header : {"", "5", "-5", "5-", "9-5", "0-18446744073709551615", "0-99999999999999999999"})
    CHECK(!parse_chunk_range(header));
}

TEST_CASE("an htpasswd file holds bcrypt hashes and nothing else", "[registry][server]") {
  const std::string hash = "$2y$05$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234";
  REQUIRE(hash.size() == 60);
  CHECK(parse_htpasswd("# comment\nann:" + hash + "\r\n\nbob:" + hash).size() == 2);
  CHECK(test::error_of([] { parse_htpasswd("ann:{SHA}x"); }).message() ==
        "line 1: the hash of 'ann' is not bcrypt");
  CHECK(test::error_of([] { parse_htpasswd("\nann"); }).message() == "line 2: expected USER:HASH");
}

TEST_CASE("G08: a rule allows what it says and no more", "[registry][server]") {
  const AccessRules rules({parse_access_rule("ci:team/*:write"), parse_access_rule("*:team/*:read"),
                           parse_access_rule("anonymous:public/*:read")},
                          Right::none);
  CHECK(rules.allows("ci", "team/app", Right::write));
  CHECK(!rules.allows("ci", "team/app", Right::remove));
  CHECK(!rules.allows("ci", "other/app", Right::read));
  CHECK(rules.allows("ann", "team/app", Right::read));
  CHECK(!rules.allows("ann", "team/app", Right::write));
  CHECK(!rules.allows(std::nullopt, "team/app", Right::read));
  CHECK(rules.allows(std::nullopt, "public/x", Right::read));
  CHECK(AccessRules({}, Right::none).allows("ann", "x", Right::remove));
  CHECK(!AccessRules({}, Right::none).allows(std::nullopt, "x", Right::read));
  for (const char* text : {"", "ci", "ci:x", "ci:x:own", ":x:read", "ci:x:read:y"})
    CHECK_THROWS_AS(parse_access_rule(text), Error);
}

TEST_CASE("credentials are remembered for a while, and no more than a limit of them", "[registry][server]") {
  using namespace std::chrono_literals;
  CredentialCache cache(2, 60s);
  const auto now = CredentialCache::Clock::now();
  cache.add("ann", "secret", 1, now);
  CHECK(cache.has("ann", "secret", 1, now + 59s));
  CHECK(!cache.has("ann", "secret", 1, now + 60s));
  CHECK(!cache.has("ann", "secret", 2, now));
  CHECK(!cache.has("an", "nsecret", 1, now));
  cache.add("bob", "x", 1, now + 1s);
  cache.add("eve", "x", 1, now + 2s);
  CHECK(cache.size() == 2);
  CHECK(!cache.has("ann", "secret", 1, now + 3s));
}

TEST_CASE("Basic credentials are taken apart at the first colon", "[registry][server]") {
  CHECK(parse_basic("Basic YW5uOnMzY3JldDpwdw==") == Credentials{"ann", "s3cret:pw", ""});
  for (const char* header : {"", "Basic", "Bearer x", "Basic !!", "Basic YW5u", "Basic OnB3"})
    CHECK(!parse_basic(header));
}

TEST_CASE("G06: headers about which two readers could disagree are refused", "[registry][server]") {
  using Lines = std::vector<std::pair<std::string, std::string>>;
  for (const Lines& lines : {Lines{{"Content-Length", "1"}, {"content-length", "2"}},
                             Lines{{"Content-Length", "1"}, {"Transfer-Encoding", "chunked"}},
                             Lines{{"Transfer-Encoding", "gzip, chunked"}}, Lines{{"Content-Length", "+1"}},
                             Lines{{"Host", "a"}, {"Host", "b"}}}) {
    RequestHeaders headers;
    for (const auto& [name, value] : lines) headers.add(name, value);
    CHECK_THROWS_AS(headers.check(), Refusal);
  }
}

TEST_CASE("an address to listen on is a port, with a host before it or the loopback", "[registry][server]") {
  CHECK(parse_listen_address("5000") == ListenAddress{"127.0.0.1", 5000});
  CHECK(parse_listen_address(":5000") == ListenAddress{"0.0.0.0", 5000});
  CHECK(parse_listen_address("[::1]:0") == ListenAddress{"::1", 0});
  CHECK(parse_listen_address("localhost:1") == ListenAddress{"127.0.0.1", 1});
  for (const char* text : {"", "x", "::1:5000", "host.example:1", "127.0.0.1:65536", "1.2.3:4"})
    CHECK_THROWS_AS(parse_listen_address(text), Error);
}

TEST_CASE("what a client sends stands escaped in the access log", "[registry][server]") {
  AccessEntry entry{.method = "GET", .target = "/v2/\n\x1b[31m\"x", .agent = "\xff"};
  const std::string line = format_entry(entry);
  CHECK(line.find('\n') == std::string::npos);
  CHECK(line.find('\x1b') == std::string::npos);
}

TEST_CASE("of the servers in a Via header those are counted that fetch blobs for others",
          "[registry][server]") {
  CHECK(askers_of("").empty());
  CHECK(askers_of("1.1 proxy.example, HTTP/1.0 squid").empty());
  CHECK(askers_of("1.1 lay-0123456789abcdef").size() == 1);
  CHECK(askers_of("1.1 lay-0123456789abcdef, 1.1 proxy.example,1.1 lay-fedcba9876543210") ==
        Askers{"lay-0123456789abcdef", "lay-fedcba9876543210"});
}

TEST_CASE("a name in a Via header that is only like a server's counts for nothing, and a long one hides none",
          "[registry][server]") {
  CHECK(askers_of("1.1 relay-proxy, 1.1 lay-x, 1.1 relay-0123456789abcdef").empty());
  CHECK(
      askers_of("1.1 lay-0123456789abcdef0, 1.1 lay-0123456789abcdeg, 1.1 lay-0123456789abcdef:80").empty());
  CHECK(askers_of("1.1 " + std::string(2000, 'x') + ", 1.1 lay-0123456789abcdef").size() == 1);
}

TEST_CASE("a token stands for its user until it ends, the passwords change or too many come after it",
          "[registry][server]") {
  using namespace std::chrono_literals;
  Tokens tokens(2, 60s);
  const auto now = Tokens::Clock::now();
  const std::string first = tokens.issue("ann", 1, now);
  CHECK(first.size() == 64);
  CHECK(tokens.user_of(first, 1, now + 59s) == "ann");
  CHECK(!tokens.user_of(first, 1, now + 60s));
  CHECK(!tokens.user_of(first, 2, now));
  CHECK(!tokens.user_of("", 1, now));
  const std::string second = tokens.issue("ann", 1, now + 1s);
  CHECK(first != second);
  const std::string third = tokens.issue("bob", 1, now + 2s);
  CHECK(!tokens.user_of(first, 1, now + 3s));
  CHECK(tokens.user_of(second, 1, now + 3s) == "ann");
  CHECK(tokens.user_of(third, 1, now + 3s) == "bob");
}

TEST_CASE("clients are sent for a token only where the address of the endpoint is certain",
          "[registry][server]") {
  const LoginWays plain{.lets_anonymous_in = true, .host = "localhost"};
  const std::string basic = R"(Basic realm="lay", charset="UTF-8")";
  const auto bearer = [](const std::string& url, const std::string& host) {
    return "Bearer realm=\"" + url + "/token\",service=\"" + host + R"(",scope="repository:a/b:pull")";
  };
  CHECK(challenge({.host = "localhost"}, "localhost:5000") == basic);
  CHECK(challenge(plain, "localhost:5000") == bearer("http://localhost:5000", "localhost:5000"));
  CHECK(challenge(plain, "[::1]:5000") == bearer("http://[::1]:5000", "[::1]:5000"));
  CHECK(challenge(plain, "registry.example") == basic);
  CHECK(challenge(plain, "registry.example", "https, http") == basic);
  CHECK(challenge(plain, "localhost:5000", "https") == basic);
  CHECK(challenge(plain, "a\"b", "https") == basic);
  CHECK(challenge(plain, "a@b", "https") == basic);
  CHECK(challenge(plain, "") == basic);
  const LoginWays behind_proxy{.lets_anonymous_in = true, .host = "registry.example"};
  CHECK(challenge(behind_proxy, "127.0.0.1:5000") == basic);
  CHECK(challenge(behind_proxy, "127.0.0.1:5000", "https") == basic);  // the proxy's name for this server
  CHECK(challenge(behind_proxy, "backend:5000", "https") == basic);
  CHECK(challenge(behind_proxy, "registry.example") == basic);
  CHECK(challenge(behind_proxy, "registry.example", "gopher") == basic);
  CHECK(challenge(behind_proxy, "Registry.example", "https, http") ==
        bearer("https://Registry.example", "Registry.example"));
  const LoginWays tls{.lets_anonymous_in = true, .has_tls = true, .host = "registry.example"};
  CHECK(challenge(tls, "other.example:5000") == bearer("https://other.example:5000", "other.example:5000"));
}

}  // namespace lay::registry::server
