#include <catch2/catch.hpp>
#include <cstdlib>
#include <set>

#include "client/upload.h"
#include "error_of.h"
#include "fault_proxy.h"
#include "registry/relay.h"
#include "shipped_image.h"
#include "transfer/transfer_notes.h"

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

PushResult push_through(const FaultProxy& proxy, const ShippedImage& shipped, const std::string& repository,
                        std::uint64_t chunk = PushRequest{}.chunk) {
  const std::string name = proxy.host() + "/" + repository;
  return push(shipped.store.store, shipped.image.descriptor,
              {.reference = parse_reference(name),
               .connection = {.credentials = kAnn, .patience = kQuick},
               .chunk = chunk},
              lay::no_progress());
}

constexpr std::uint64_t kSmallChunk = 1024 * 1024;

/// What the registry holds under `repository` is the image, every byte of it.
void check_whole(const ShippedImage& shipped, const std::string& repository) {
  const TempStore there;
  const std::string name = shipped.registry.host() + "/" + repository;
  const auto image = pull(there.store, {.reference = parse_reference(name)}, name, lay::no_progress());
  CHECK(image.descriptor == shipped.image.descriptor);
}

}  // namespace

TEST_CASE("how far an upload is, is read strictly", "[registry][faults]") {
  CHECK(parse_upload_range("0-99") == 100);
  CHECK(parse_upload_range("bytes=0-99") == 100);
  CHECK(parse_upload_range("0-0") == 0);
  for (const char* text : {"", "1-99", "0-", "0--1", "99", "0-99999999999999999999999"})
    CHECK(parse_upload_range(text) == std::nullopt);
}

TEST_CASE("an upload is tried again after lost connections and server errors", "[registry][faults]") {
  const ShippedImage shipped;
  unsigned number = 0;
  for (const char* fault :
       {R"("method": "PUT", "path": "uploads", "do": "cut-request", "bytes": 100000)",
        R"("method": "POST", "do": "status", "status": 503, "times": 2)",
        R"("method": "PUT", "path": "uploads", "do": "status", "status": 500, "times": 2)",
        R"("method": "PUT", "path": "manifests", "do": "close")",
        R"("method": "HEAD", "do": "status", "status": 429, "headers": {"Retry-After": "0"})",
        R"("method": "PUT", "path": "uploads", "do": "status", "status": 404)"}) {
    CAPTURE(fault);
    const FaultProxy proxy(shipped.registry.port(), "[{" + std::string(fault) + "}]");
    const std::string repository = "fresh/app" + std::to_string(++number) + ":1";
    CAPTURE(proxy.output());
    if (std::string(fault).ends_with("404")) {
      CHECK(error_of([&] { push_through(proxy, shipped, repository); }).code() == Errc::not_found);
      continue;
    }
    CHECK_NOTHROW(push_through(proxy, shipped, repository));
    check_whole(shipped, repository);
  }
}

TEST_CASE("what the registry holds of an upload is not sent again because it was busy for a moment",
          "[registry][faults]") {
  const ShippedImage shipped;
  const std::string big = shipped.big().digest.hex();
  const FaultProxy broken(shipped.registry.port(), R"([{"method": "PUT", "path": ")" + big +
                                                       R"(", "do": "cut-request", "bytes": 100000},
                              {"method": "GET", "path": "uploads", "do": "status", "status": 503, "times": 2}])");
  push_through(broken, shipped, "busy/app:1");
  check_whole(shipped, "busy/app:1");
  CHECK(broken.requests("GET", "uploads").size() == 3);

  const FaultProxy silent(shipped.registry.port(),
                          R"([{"method": "PUT", "path": ")" + big + R"(", "do": "lose-answer"}])");
  push_through(silent, shipped, "silent/app:1");
  check_whole(shipped, "silent/app:1");
  CHECK(silent.requests("PUT", big).size() == 1);
}

TEST_CASE("an upload that will not be taken is not tried again", "[registry][faults]") {
  const ShippedImage shipped;
  for (const int status : {400, 403, 413}) {
    const FaultProxy proxy(shipped.registry.port(),
                           R"([{"method": "PUT", "path": "uploads", "do": "status", "times": 9, "status": )" +
                               std::to_string(status) + "}]");
    CAPTURE(status);
    error_of([&] { push_through(proxy, shipped, "refused/app:1"); });
    std::set<std::string> paths;
    for (const Json& request : proxy.requests("PUT", "uploads")) CHECK(paths.insert(request["path"]).second);
  }
}

TEST_CASE("a registry that loses an upload in the middle is asked where it is, or gets all of it anew",
          "[registry][faults]") {
  const ShippedImage shipped;
  const std::string second = R"([{"method": "PATCH", "path": "uploads", "after": 1, )";
  unsigned number = 0;
  for (const std::string& rules :
       {second + R"("do": "status", "status": 404}])", second + R"("do": "status", "status": 416}])",
        second + R"("do": "status", "status": 416, "times": 2},
            {"method": "GET", "path": "uploads", "do": "status", "status": 404}])",
        second + R"("do": "status", "status": 500, "times": 2}])", second + R"("do": "close"}])",
        second + R"("do": "cut-request", "bytes": 300000}])",
        second + R"("do": "cut-request", "bytes": 300000},
            {"method": "GET", "path": "uploads", "do": "status", "status": 404}])",
        second + R"("do": "cut-request", "bytes": 300000},
            {"method": "PATCH", "path": "uploads", "after": 2, "do": "status", "status": 416}])"}) {
    CAPTURE(rules);
    const FaultProxy proxy(shipped.registry.port(), rules);
    const std::string repository = "chunks/app" + std::to_string(++number) + ":1";
    push_through(proxy, shipped, repository, kSmallChunk);
    check_whole(shipped, repository);
  }
}

TEST_CASE("a registry that loses one new upload gets chunks all the same", "[registry][faults]") {
  const ShippedImage shipped;
  unsigned number = 0;
  for (const std::string rules :
       {R"([{"method": "PATCH", "path": "uploads", "do": "status", "status": 404}])",
        R"([{"method": "PATCH", "path": "uploads", "do": "status", "status": 416}])",
        R"([{"method": "PATCH", "path": "uploads", "do": "range", "value": "0-0"},
                                      {"method": "GET", "path": "uploads", "do": "status", "status": 404}])"}) {
    CAPTURE(rules);
    const FaultProxy proxy(shipped.registry.port(), rules);
    const std::string repository = "once/app" + std::to_string(++number) + ":1";
    push_through(proxy, shipped, repository, kSmallChunk);
    check_whole(shipped, repository);
    CHECK(proxy.requests("PATCH", "uploads").size() > 2);
  }
}

TEST_CASE("smaller chunks are no advice for a registry that takes none", "[registry][faults]") {
  const ShippedImage shipped;
  const std::string limit =
      R"({"method": "PUT", "path": "uploads", "times": 99, "do": "status", "status": 413}])";
  const FaultProxy whole(
      shipped.registry.port(),
      R"([{"method": "PATCH", "path": "uploads", "times": 99, "do": "status", "status": 405}, )" + limit);
  CHECK(error_of([&] { push_through(whole, shipped, "limit/app:1", 50); }).hint().empty());
  const FaultProxy chunks(shipped.registry.port(), "[" + limit);
  CHECK(error_of([&] { push_through(chunks, shipped, "limit/app:1", kSmallChunk); }).hint() != "");
}

TEST_CASE("a registry that loses every upload is given up", "[registry][faults]") {
  const ShippedImage shipped;
  for (const char* status : {"404", "416"}) {
    const FaultProxy proxy(shipped.registry.port(),
                           R"([{"method": "PATCH", "path": "uploads", "do": "pass"},
                               {"method": "PATCH", "path": "uploads", "times": 99, "do": "status", "status": )" +
                               std::string(status) + "}]");
    CAPTURE(status);
    error_of([&] { push_through(proxy, shipped, "never/app:1", kSmallChunk); });
    CHECK(proxy.requests("PATCH", "uploads").size() <= 2 + kQuick.retries);
  }
}

TEST_CASE("a registry whose answers stand still is asked how far it is", "[registry][faults]") {
  const ShippedImage shipped;
  const FaultProxy proxy(
      shipped.registry.port(),
      R"([{"method": "PATCH", "path": "uploads", "times": 40, "do": "range", "value": "0-1048575"},
          {"method": "PATCH", "path": "uploads", "times": 99, "do": "status", "status": 403}])");
  push_through(proxy, shipped, "still/app:1", kSmallChunk);
  check_whole(shipped, "still/app:1");
  CHECK(proxy.requests("PATCH", "uploads").size() == 2);
  CHECK(proxy.requests("GET", "uploads").size() == 1);
}

TEST_CASE("a registry that does not get on with chunks is sent the whole", "[registry][faults]") {
  const ShippedImage shipped;
  unsigned number = 0;
  for (const char* held : {"0-1048575", "0-0", "0-9"}) {
    CAPTURE(held);
    const std::string value(held);
    const FaultProxy proxy(
        shipped.registry.port(),
        R"([{"method": "PATCH", "path": "uploads", "times": 40, "do": "range", "value": ")" + value +
            R"("}, {"method": "PATCH", "path": "uploads", "times": 99, "do": "status", "status": 403},
            {"method": "GET", "path": "uploads", "times": 99, "do": "status", "status": 204,
             "headers": {"Range": ")" +
            value + R"("}}])");
    const std::string repository = "stuck/app" + std::to_string(++number) + ":1";
    push_through(proxy, shipped, repository, kSmallChunk);
    check_whole(shipped, repository);
    CHECK(proxy.requests("PATCH", "uploads").size() <= 2);
    CHECK(proxy.requests("PUT", shipped.big().digest.hex()).back()["length"] ==
          std::to_string(shipped.big().size));
  }
}

TEST_CASE(
    "a registry that takes no chunks is sent the whole, and asked once, or twice where it may have lost one",
    "[registry][faults]") {
  const ShippedImage shipped;
  unsigned number = 0;
  for (const int status : {400, 404, 405, 416, 501}) {
    CAPTURE(status);
    const FaultProxy proxy(
        shipped.registry.port(),
        R"([{"method": "PATCH", "path": "uploads", "times": 99, "do": "status", "status": )" +
            std::to_string(status) + "}]");
    const std::string repository = "whole/app" + std::to_string(++number) + ":1";
    push_through(proxy, shipped, repository, kSmallChunk);
    check_whole(shipped, repository);
    const bool may_be_lost = status == 404 || status == 416;
    CHECK(proxy.requests("PATCH", "uploads").size() == (may_be_lost ? 2 : 1));
  }
  // The two layers go at once, the config behind them.
  const FaultProxy proxy(shipped.registry.port(),
                         R"([{"method": "PATCH", "path": "uploads", "times": 99, "do": "status",
                              "status": 400}])");
  push_through(proxy, shipped, "small/app:1", 50);
  CHECK(proxy.requests("PATCH", "uploads").size() <= 2);
}

TEST_CASE("a push that a line has broken says what was sent, and that it need not be again",
          "[registry][faults]") {
  const ShippedImage shipped;
  const std::string big = shipped.big().digest.hex();
  const FaultProxy proxy(
      shipped.registry.port(),
      R"([{"method": "PUT", "path": ")" + big + R"(", "do": "cut-request", "bytes": 100000, "times": 99}])");
  const lay::Error error = error_of([&] {
    push(shipped.store.store, shipped.image.descriptor,
         {.reference = parse_reference(proxy.host() + "/broken/app:1"),
          .connection = {.patience = {.retries = 0}}},
         lay::no_progress());
  });
  CAPTURE(error.message(), error.hint());
  CHECK(error.message().find("upload of blob sha256:" + big) != std::string::npos);
  CHECK(error.message().find("bytes sent") != std::string::npos);
  CHECK(error.message().find(" 0 bytes") == std::string::npos);
  CHECK(error.hint().find("not sent again") != std::string::npos);
}

TEST_CASE("an upload of an earlier process that the registry cannot tell of is begun anew",
          "[registry][faults]") {
  const ShippedImage shipped;
  const FaultProxy proxy(
      shipped.registry.port(),
      R"([{"method": "GET", "path": "uploads/gone", "times": 99, "do": "status", "status": 500}])");
  const TransferNotes notes(shipped.store.path(), proxy.host());
  const UploadSession gone{.location = "http://" + proxy.host() + "/v2/lost/app/blobs/uploads/gone",
                           .offset = 7};
  notes.keep_upload("lost/app", shipped.big().digest, gone);
  push_through(proxy, shipped, "lost/app:1");
  check_whole(shipped, "lost/app:1");
  CHECK_FALSE(notes.upload("lost/app", shipped.big().digest).has_value());
}

TEST_CASE("a push with nothing new takes two requests", "[registry][faults]") {
  const ShippedImage shipped;
  const FaultProxy proxy(shipped.registry.port(), "[]");
  const PushResult result = push_through(proxy, shipped, "team/app:1");
  CHECK(result.blobs_sent == 0);
  CHECK(result.blobs_there == 3);
  CHECK(proxy.requests().size() == 2);
}

TEST_CASE("an image goes from registry to registry without what the target has", "[registry][faults]") {
  const ShippedImage shipped;
  const FaultProxy source(shipped.registry.port(), "[]");
  const TempStore store;
  const auto relay_for = [&](const lay::layerstore::Platform& platform) {
    return relay_image(store.store, parse_reference(source.host() + "/team/app:1"), platform,
                       {.patience = kQuick},
                       {.reference = parse_reference(shipped.registry.host() + "/relayed/app:1"),
                        .connection = {.patience = kQuick}},
                       lay::no_progress());
  };
  CHECK(error_of([&] { relay_for({.os = "linux", .architecture = "other", .variant = ""}); }).code() ==
        Errc::unsupported);
  for (int turn = 0; turn < 2; ++turn) {
    CHECK(relay_for(lay::layerstore::host_platform()).manifest == shipped.image.descriptor.digest);
    CHECK(source.requests("GET", shipped.big().digest.hex()).size() == 1);
  }
  check_whole(shipped, "relayed/app:1");
}

TEST_CASE("what another repository of the registry has is mounted, not sent", "[registry][faults]") {
  const ShippedImage shipped;
  const FaultProxy proxy(shipped.registry.port(), "[]");
  push_through(proxy, shipped, "first/app:1");
  const std::size_t sent = proxy.requests("PUT", "uploads").size();
  const PushResult result = push_through(proxy, shipped, "second/app:1");
  CHECK(result.blobs_sent == 0);
  CHECK(proxy.requests("PUT", "uploads").size() == sent);
  CHECK(proxy.requests("POST", "mount=sha256").size() == 3);
  check_whole(shipped, "second/app:1");
}

TEST_CASE("what a refused mount's target has already is not sent, and the place is asked for no more",
          "[registry][faults]") {
  const ShippedImage shipped;
  const FaultProxy proxy(shipped.registry.port(), "[]");
  const TransferNotes notes(shipped.store.path(), proxy.host());
  notes.remember("nowhere/app", {shipped.big().digest});
  CHECK(push_through(proxy, shipped, "team/app:2").blobs_sent == 0);
  CHECK(proxy.requests("POST", "from=nowhere").size() == 1);
  CHECK(proxy.requests("DELETE", "uploads").size() == 1);
  CHECK(notes.repositories_of(shipped.big().digest) == std::vector<std::string>{"team/app"});
}

TEST_CASE("a mount that is refused or forgotten becomes an upload", "[registry][faults]") {
  const ShippedImage shipped;
  const FaultProxy proxy(
      shipped.registry.port(),
      R"([{"method": "POST", "path": "mount=", "do": "status", "status": 403, "times": 99}])");
  push_through(proxy, shipped, "first/app:1");
  lay::layerstore::Digest gone = shipped.big().digest;
  const TransferNotes notes(shipped.store.path(), proxy.host());
  CHECK(notes.repositories_of(gone) == std::vector<std::string>{"first/app"});
  push_through(proxy, shipped, "third/app:1");
  check_whole(shipped, "third/app:1");
  notes.remember("nowhere/app", {gone});
  const FaultProxy fresh(shipped.registry.port(), "[]");
  TransferNotes(shipped.store.path(), fresh.host()).remember("nowhere/app", {gone});
  push_through(fresh, shipped, "fourth/app:1");
  check_whole(shipped, "fourth/app:1");
}

TEST_CASE("tokens are asked for what is done, and renewed when they expire", "[registry][faults]") {
  const ShippedImage shipped;
  const FaultProxy proxy(shipped.registry.port(), R"([{"tokens": {"uses": 2, "user": "ann:s3cret:pw"}}])");
  push_through(proxy, shipped, "tokens/app:1");
  check_whole(shipped, "tokens/app:1");
  bool is_push_asked = false;
  for (const Json& request : proxy.requests()) {
    const std::string path = request["path"];
    if (path.starts_with("/token")) {
      is_push_asked = is_push_asked || path.find("pull%2Cpush") != std::string::npos;
    } else {
      CHECK_FALSE(request["authorization"].get<std::string>().starts_with("Basic "));
    }
  }
  CHECK(is_push_asked);
}

TEST_CASE("an identity token is exchanged for tokens by POST, and goes nowhere else", "[registry][faults]") {
  const ShippedImage shipped;
  const FaultProxy proxy(shipped.registry.port(), R"([{"tokens": {"uses": 50, "user": "ann:s3cret:pw"}}])");
  const TempStore there;
  const std::string name = proxy.host() + "/team/app:1";
  pull(there.store,
       {.reference = parse_reference(name),
        .connection = {.credentials = Credentials{.identity_token = "refresh-of-ann"}}},
       name, lay::no_progress());
  CHECK(proxy.requests("POST", "/token").size() == 1);
  for (const Json& request : proxy.requests())
    CHECK(request.dump().find("refresh-of-ann") == std::string::npos);
}

TEST_CASE("what is remembered of a registry is bounded, and survives nonsense", "[registry][notes]") {
  const TempStore store;
  const TransferNotes notes(store.path(), "h.io");
  const auto digest = lay::layerstore::digest_of("x");
  CHECK(notes.repositories_of(digest).empty());
  notes.remember("a", {digest});
  notes.remember("b", {digest});
  notes.remember("a", {digest});
  CHECK(notes.repositories_of(digest) == std::vector<std::string>{"a", "b"});
  CHECK(TransferNotes(store.path(), "h.io:5000").repositories_of(digest).empty());
  for (int i = 0; i < 5000; i += 500) {
    std::set<lay::layerstore::Digest> many;
    for (int j = i; j < i + 500; ++j) many.insert(lay::layerstore::digest_of(std::to_string(j)));
    notes.remember("c", many);
  }
  CHECK(notes.repositories_of(digest).empty());
  const UploadSession session{.location = "http://h.io/v2/a/blobs/uploads/1?s=2", .offset = 7};
  notes.keep_upload("a", digest, session);
  CHECK(notes.upload("a", digest) == session);
  CHECK_FALSE(notes.upload("b", digest).has_value());
  REQUIRE(lay::test::shell("for f in " + store.path() + "/transfers/*; do echo nonsense >$f; done").status ==
          0);
  CHECK_FALSE(notes.upload("a", digest).has_value());
  notes.forget_upload("a", digest);
  notes.keep_upload("a", digest, session);
  const auto is_kept_after = [&](const std::string& age) {
    REQUIRE(lay::test::shell("touch -d '" + age + " ago' " + store.path() + "/transfers/upload.*").status ==
            0);
    return TransferNotes(store.path(), "other.io").upload("a", digest) ||
           TransferNotes(store.path(), "h.io").upload("a", digest);
  };
  CHECK(is_kept_after("6 days"));
  CHECK_FALSE(is_kept_after("8 days"));
  CHECK(TransferNotes("/nonexistent", "h.io").repositories_of(digest).empty());
}
