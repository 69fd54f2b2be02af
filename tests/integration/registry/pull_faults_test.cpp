#include <catch2/catch.hpp>
#include <future>
#include <set>

#include "error_of.h"
#include "fault_proxy.h"
#include "poll_until.h"
#include "shipped_image.h"

using namespace lay::registry;
using lay::Errc;
using lay::Json;
using lay::test::error_of;
using lay::test::FaultProxy;
using lay::test::kAnn;
using lay::test::kQuick;
using lay::test::ShippedImage;
using lay::test::TempStore;

namespace {

lay::layerstore::Image pull_through(const FaultProxy& proxy, const TempStore& store,
                                    const Patience& patience = kQuick) {
  const std::string name = proxy.host() + "/team/app:1";
  const PullRequest request{.reference = parse_reference(name),
                            .connection = {.credentials = kAnn, .patience = patience}};
  return pull(store.store, request, name, lay::no_progress());
}

/// The Range headers of the requests for one blob, in order.
std::vector<std::string> ranges_of(const FaultProxy& proxy, const lay::layerstore::Descriptor& blob) {
  std::vector<std::string> ranges;
  for (const Json& request : proxy.requests("GET", blob.digest.hex())) ranges.push_back(request["range"]);
  return ranges;
}

std::string rule(const std::string& body) {
  return R"([{"method": "GET", "path": "/blobs/", )" + body + "}]";
}

/// The rule for the large layer alone.
std::string rule_of(const ShippedImage& shipped, const std::string& body) {
  return R"([{"method": "GET", "path": ")" + shipped.big().digest.hex() + "\", " + body + "}]";
}

}  // namespace

TEST_CASE("a layer goes on where its connection broke, as often as that happens", "[registry][faults]") {
  const ShippedImage shipped;
  const FaultProxy proxy(shipped.registry.port(),
                         rule_of(shipped, R"("do": "cut", "bytes": 500000, "times": 5)"));
  const TempStore store;
  const auto image = pull_through(proxy, store);  // more cuts than retries: each got further
  CHECK(image.descriptor == shipped.image.descriptor);
  CHECK(ranges_of(proxy, shipped.big()) == std::vector<std::string>{"", "bytes=500000-", "bytes=1000000-",
                                                                    "bytes=1500000-", "bytes=2000000-",
                                                                    "bytes=2500000-"});
  CHECK(lay::test::debris(store.path()) == 0);
}

TEST_CASE("stalls, server errors, limits and lost answers are tried again", "[registry][faults]") {
  const ShippedImage shipped;
  for (const char* fault :
       {R"("do": "stall", "bytes": 1000)", R"("do": "close", "times": 2)",
        R"("do": "status", "status": 500, "times": 3)", R"("do": "status", "status": 503, "times": 2)",
        R"("do": "status", "status": 408)",
        R"("do": "status", "status": 429, "headers": {"Retry-After": "0"})"}) {
    CAPTURE(fault);
    const FaultProxy proxy(shipped.registry.port(), rule(fault));
    const TempStore store;
    CHECK_NOTHROW(pull_through(proxy, store));
  }
}

TEST_CASE("the first question and the token server's answer are tried again too", "[registry][faults]") {
  const ShippedImage shipped;
  const std::string tokens = R"({"tokens": {"uses": 50, "user": "ann:s3cret:pw"}})";
  for (const std::string& rules :
       {std::string(R"([{"path": "/v2/$", "do": "status", "status": 503, "times": 2}])"),
        std::string(R"([{"path": "/v2/$", "do": "status", "status": 429, "headers": {"Retry-After": "0"}}])"),
        std::string(R"([{"path": "/v2/$", "do": "close"}])"),
        R"([{"path": "/token", "do": "status", "status": 503, "times": 2}, )" + tokens + "]",
        R"([{"path": "/token", "do": "close"}, )" + tokens + "]"}) {
    CAPTURE(rules);
    const FaultProxy proxy(shipped.registry.port(), rules);
    const TempStore store;
    CHECK_NOTHROW(pull_through(proxy, store));
  }
}

TEST_CASE("the wait that Retry-After asks for is kept", "[registry][faults]") {
  const ShippedImage shipped;
  const FaultProxy proxy(shipped.registry.port(),
                         rule(R"("do": "status", "status": 429, "headers": {"Retry-After": "1"})"));
  const TempStore store;
  const auto begin = std::chrono::steady_clock::now();
  CHECK_NOTHROW(pull_through(proxy, store));
  CHECK(std::chrono::steady_clock::now() - begin >= std::chrono::seconds(1));
}

TEST_CASE("a wait of hours is not kept but told", "[registry][faults]") {
  const ShippedImage shipped;
  const FaultProxy proxy(shipped.registry.port(),
                         rule(R"("do": "status", "status": 429, "headers": {"Retry-After": "7200"})"));
  const TempStore store;
  const lay::Error error = error_of([&] { pull_through(proxy, store); });
  CHECK(error.code() == Errc::unavailable);
  CHECK(error.message().find("429") != std::string::npos);
}

TEST_CASE("an answer that will not change is asked for once", "[registry][faults]") {
  const ShippedImage shipped;
  for (const int status : {400, 403, 404, 405, 410, 501}) {
    CAPTURE(status);
    const FaultProxy proxy(
        shipped.registry.port(),
        rule_of(shipped, "\"do\": \"status\", \"times\": 9, \"status\": " + std::to_string(status)));
    const TempStore store;
    error_of([&] { pull_through(proxy, store); });
    CHECK(ranges_of(proxy, shipped.big()).size() == 1);
  }
}

TEST_CASE("a registry that stays broken is given up after the tries there are", "[registry][faults]") {
  const ShippedImage shipped;
  const FaultProxy proxy(shipped.registry.port(),
                         rule_of(shipped, R"("do": "status", "status": 503, "times": 99)"));
  const TempStore store;
  CHECK(error_of([&] { pull_through(proxy, store); }).code() == Errc::unavailable);
  CHECK(ranges_of(proxy, shipped.big()).size() == 4);
}

TEST_CASE("R09: a server that knows no ranges, or sends wrong ones, is asked for the whole",
          "[registry][faults]") {
  const ShippedImage shipped;
  const std::string cut =
      R"({"method": "GET", "path": ")" + shipped.big().digest.hex() + R"(", "do": "cut", "bytes": 500000})";
  const std::string hex = shipped.big().digest.hex();
  for (const char* fault :
       {R"("do": "ignore-range")", R"("do": "wrong-range")", R"("do": "status", "status": 416)"}) {
    CAPTURE(fault);
    const FaultProxy proxy(shipped.registry.port(),
                           "[" + cut + R"(,{"method": "GET", "path": ")" + hex + "\", " + fault + "}]");
    const TempStore store;
    CHECK_NOTHROW(pull_through(proxy, store));
  }
}

TEST_CASE("R09: lengths that lie do not get a blob past its digest", "[registry][faults]") {
  const ShippedImage shipped;
  const TempStore store;
  const FaultProxy shorter(shipped.registry.port(), rule_of(shipped, R"("do": "length", "add": -1000)"));
  CHECK(error_of([&] { pull_through(shorter, store); }).code() == Errc::corrupt);
  CHECK(store.store.images().list().empty());
  const FaultProxy longer(shipped.registry.port(), rule_of(shipped, R"("do": "length", "add": 1000)"));
  CHECK(pull_through(longer, store).descriptor == shipped.image.descriptor);
}

TEST_CASE("a pull that was given up is taken up by the next one", "[registry][faults]") {
  const ShippedImage shipped;
  const TempStore store;
  {
    const FaultProxy proxy(shipped.registry.port(),
                           "[" + std::string(R"({"method": "GET", "path": ")") + shipped.big().digest.hex() +
                               R"(", "do": "cut", "bytes": 2000000},)" + R"({"method": "GET", "path": ")" +
                               shipped.big().digest.hex() +
                               R"(", "do": "status", "status": 503, "times": 99}])");
    CHECK(error_of([&] { pull_through(proxy, store); }).code() == Errc::unavailable);
    CHECK(store.store.images().list().empty());
    CHECK(lay::test::debris(store.path()) == 1);
  }
  const FaultProxy proxy(shipped.registry.port(), "[]");
  pull_through(proxy, store);
  const std::vector<std::string> ranges = ranges_of(proxy, shipped.big());
  REQUIRE(ranges.size() == 1);
  CHECK(ranges.front().starts_with("bytes="));
  CHECK(lay::test::debris(store.path()) == 0);
}

TEST_CASE("R09: a kept part that is damaged is thrown away and everything fetched", "[registry][faults]") {
  const ShippedImage shipped;
  const TempStore store;
  const std::string part = store.path() + "/ingest/part.sha256." + shipped.big().digest.hex();
  REQUIRE(lay::test::shell("mkdir -m 700 " + part + " && head -c 1000000 /dev/urandom >" + part + "/blob")
              .status == 0);
  const FaultProxy proxy(shipped.registry.port(), "[]");
  CHECK_NOTHROW(pull_through(proxy, store));
  CHECK(ranges_of(proxy, shipped.big()) == std::vector<std::string>{"bytes=1000000-", ""});
  CHECK(lay::test::debris(store.path()) == 0);
}

TEST_CASE("a part that is complete is not asked for", "[registry][faults]") {
  const ShippedImage shipped;
  const TempStore store;
  const std::string hex = shipped.big().digest.hex();
  const std::string part = store.path() + "/ingest/part.sha256." + hex;
  REQUIRE(lay::test::shell("mkdir -m 700 " + part + " && cp " + shipped.store.path() + "/blobs/sha256/" +
                           hex + " " + part + "/blob && chmod 600 " + part + "/blob")
              .status == 0);
  const FaultProxy proxy(shipped.registry.port(), "[]");
  CHECK_NOTHROW(pull_through(proxy, store));
  CHECK(ranges_of(proxy, shipped.big()).empty());
}

TEST_CASE("a layer that is there is not fetched, whatever it was compressed with", "[registry][faults]") {
  const ShippedImage shipped;
  const TempStore store;
  const FaultProxy proxy(shipped.registry.port(), "[]");
  pull_through(proxy, store);
  pull_through(proxy, store);
  CHECK(ranges_of(proxy, shipped.big()).size() == 1);
}

TEST_CASE("two pulls at once of images that share a layer fetch it once", "[registry][faults]") {
  const ShippedImage shipped;
  const FaultProxy proxy(shipped.registry.port(), rule_of(shipped, R"("do": "slow", "bytes": 100000)"));
  const TempStore store;
  auto other = std::async(std::launch::async, [&] { return pull_through(proxy, store).descriptor; });
  REQUIRE(lay::test::poll_until([&] { return !ranges_of(proxy, shipped.big()).empty(); }));
  CHECK_NOTHROW(pull_through(proxy, store));
  CHECK(other.get() == shipped.image.descriptor);
  CHECK(ranges_of(proxy, shipped.big()).size() == 1);
  CHECK(store.store.blobs().is_whole(shipped.big()));
  CHECK(lay::test::debris(store.path()) == 0);
}

TEST_CASE("a pull that stands still is waited for as long as a connection", "[registry][faults]") {
  const ShippedImage shipped;
  const FaultProxy proxy(shipped.registry.port(), "[]");
  const TempStore store;
  {
    const auto turn = store.store.blobs().try_take_turn(shipped.big());
    REQUIRE(turn);
    CHECK_FALSE(store.store.blobs().try_take_turn(shipped.big()));
    CHECK_NOTHROW(pull_through(proxy, store));
  }
  CHECK(store.store.blobs().is_whole(shipped.big()));
  CHECK(lay::test::debris(store.path()) == 0);
}

TEST_CASE("tokens that expire in the middle of a pull are renewed", "[registry][faults]") {
  const ShippedImage shipped;
  const FaultProxy proxy(shipped.registry.port(),
                         R"([{"tokens": {"uses": 2, "user": "ann:s3cret:pw"}},)" +
                             rule_of(shipped, R"("do": "cut", "bytes": 700000, "times": 3)").substr(1));
  const TempStore store;
  CHECK_NOTHROW(pull_through(proxy, store));
  std::set<std::string> tokens;
  for (const Json& request : proxy.requests("GET", "/blobs/")) tokens.insert(request["authorization"]);
  CHECK(tokens.size() >= 3);
  for (const std::string& token : tokens) CHECK_FALSE(token.starts_with("Basic "));
}

TEST_CASE(
    "a token server's answer that is none ends the pull, whatever else it says of a token's life does not",
    "[registry][faults]") {
  const ShippedImage shipped;
  const auto rules = [](const std::string& body) {
    return R"([{"tokens": {"uses": 9, "user": "ann:s3cret:pw"}},
               {"path": "/token", "times": 9, "do": "status", "status": 200, )" +
           body + "}]";
  };
  for (const char* body : {R"("body": "<html>sign in</html>")", R"("body": "{}")",
                           R"("body": "{\"token\": 5}")", R"("body": "{\"token\": \"a\\r\\nX: 1\"}")",
                           R"("body": "[]")", R"("body": "{\"token\": \"a\"}", "fill": 1048576)"}) {
    CAPTURE(body);
    const FaultProxy proxy(shipped.registry.port(), rules(body));
    const TempStore store;
    error_of([&] { pull_through(proxy, store); });
    CHECK(proxy.requests("GET", "/blobs/").empty());
    for (const Json& request : proxy.requests("GET", "/manifests/")) CHECK(request["authorization"] == "");
  }
  for (const char* life : {"-1", "0", "1e300", "99999999999999999999", "\\\"x\\\""}) {
    CAPTURE(life);
    const FaultProxy proxy(shipped.registry.port(), rules(R"("body": "{\"token\": \"t\", \"expires_in\": )" +
                                                          std::string(life) + "}\""));
    const TempStore store;
    error_of([&] { pull_through(proxy, store); });  // no such token, but it was shown
    bool is_shown = false;
    for (const Json& request : proxy.requests())
      is_shown = is_shown || request["authorization"] == "Bearer t";
    CHECK(is_shown);
  }
}

TEST_CASE("R01: no redirect takes credentials to another port, host or scheme", "[registry][faults]") {
  const ShippedImage shipped;
  const FaultProxy proxy(shipped.registry.port(),
                         R"([{"tokens": {"uses": 1000, "user": "ann:s3cret:pw"}},)" +
                             rule(R"("do": "redirect", "to": "{other}{path}", "times": 99)").substr(1));
  const TempStore store;
  CHECK_NOTHROW(pull_through(proxy, store));
  unsigned astray = 0;
  for (const Json& request : proxy.requests())
    if (request["port"] == proxy.other_port()) {
      ++astray;
      CHECK(request["authorization"] == "");
      CHECK(request["cookie"] == "");
    }
  CHECK(astray == 3);
  for (const char* to : {"ftp://127.0.0.1/x", "file:///etc/passwd", "http://10.255.255.1:1/x"}) {
    CAPTURE(to);
    const FaultProxy other(shipped.registry.port(),
                           rule(R"("do": "redirect", "times": 99, "to": ")" + std::string(to) + "\""));
    const TempStore fresh;
    CHECK(error_of([&] { pull_through(other, fresh); }).code() == Errc::invalid);
  }
}

TEST_CASE("a kept part goes with a prune, or when nobody came for it in a week", "[registry][faults]") {
  const TempStore store;
  const std::string part = store.path() + "/ingest/part.sha256." + std::string(64, 'a');
  const auto make = [&](const std::string& age) {
    REQUIRE(lay::test::shell("mkdir -m 700 " + part + " && touch -d '" + age + " ago' " + part + "/blob")
                .status == 0);
  };
  make("6 days");
  { const lay::FileLock adding = store.store.begin_adding(); }
  CHECK(lay::test::debris(store.path()) == 1);
  store.store.drop_parts();
  CHECK(lay::test::debris(store.path()) == 0);
  make("8 days");
  { const lay::FileLock adding = store.store.begin_adding(); }
  CHECK(lay::test::debris(store.path()) == 0);
}
