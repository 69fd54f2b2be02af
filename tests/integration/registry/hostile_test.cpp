#include <arpa/inet.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <set>

#include "base/syscalls.h"
#include "error_of.h"
#include "hostile_registry.h"
#include "http/http.h"
#include "registry/remote.h"
#include "registry/transfer.h"
#include "store_support.h"

using namespace lay::registry;
using lay::Errc;
using lay::Json;
using lay::test::error_of;
using lay::test::HostileRegistry;
using lay::test::TempFolder;
using lay::test::TempStore;

namespace {

const Credentials kAnn{.username = "ann", .password = "s3cret:pw"};
const Patience kQuick{.retries = 1, .first_delay = std::chrono::milliseconds{10}};

lay::layerstore::Image pull_from(const HostileRegistry& registry, const TempStore& store,
                                 const std::string& tag = "1") {
  const std::string name = registry.host() + "/team/app:" + tag;
  const PullRequest request{.reference = parse_reference(name),
                            .platform = {.os = "linux", .architecture = "amd64"},
                            .connection = {.credentials = kAnn, .patience = kQuick}};
  return pull(store.store, request, name, lay::no_progress());
}

/// What a pull from a registry in `mode` fails with; the store must be as it was.
lay::Error failure_of_pull(const std::string& mode) {
  const HostileRegistry registry(mode);
  const TempStore store;
  const lay::Error error = error_of([&] { pull_from(registry, store); });
  CHECK(store.store.images().list().empty());
  CHECK(lay::test::debris(store.path()) == 0);
  CHECK(error.message().find("s3cret") == std::string::npos);
  CHECK(error.message().find('\n') == std::string::npos);
  return error;
}

bool has(const lay::Error& error, const std::string& text) {
  return error.message().find(text) != std::string::npos;
}

/// The Authorization values that were sent to one port.
std::set<std::string> secrets_at(const HostileRegistry& registry, std::uint16_t port) {
  std::set<std::string> values;
  for (const Json& request : registry.requests())
    if (request["port"] == port) values.insert(request["authorization"].get<std::string>());
  return values;
}

}  // namespace

TEST_CASE("a registry that behaves is pulled from", "[registry][hostile]") {
  for (const char* mode : {"good", "basic", "bearer", "token-expires"}) {
    CAPTURE(mode);
    const HostileRegistry registry(mode);
    const TempStore store;
    CHECK_NOTHROW(pull_from(registry, store));
    CHECK(store.store.images().list().size() == 1);
  }
}

TEST_CASE("J03: a blob that is not what its digest says never becomes visible", "[registry][hostile]") {
  const lay::Error flipped = failure_of_pull("flipped");
  CHECK(flipped.code() == Errc::corrupt);
  const lay::Error shorter = failure_of_pull("short");
  CHECK(shorter.code() == Errc::corrupt);
  CHECK(has(shorter, "got 1000 bytes, expected"));
  const lay::Error longer = failure_of_pull("long");
  CHECK(longer.code() == Errc::corrupt);
  CHECK(has(longer, "got more than"));
  CHECK(failure_of_pull("endless").code() == Errc::corrupt);
  CHECK(failure_of_pull("wrong-diff-id").code() == Errc::corrupt);
}

TEST_CASE("all layers of a usual image are fetched at once", "[registry][hostile]") {
  const HostileRegistry registry("waits-for-all");
  const TempStore store;
  CHECK(pull_from(registry, store).manifest.layers.size() == 16);
}

TEST_CASE("J07: a stored blob cannot be passed off as another stored layer", "[registry][hostile]") {
  const TempStore store;
  pull_from(HostileRegistry("good"), store);
  const HostileRegistry liar("swapped-layers");
  const lay::Error error = error_of([&] { pull_from(liar, store); });
  CHECK(error.code() == Errc::corrupt);
  CHECK(has(error, "got diff_id"));
  CHECK(store.store.images().list().size() == 1);
}

TEST_CASE("a connection that breaks in a layer is told as that", "[registry][hostile]") {
  const lay::Error error = failure_of_pull("cut");
  CHECK(error.code() == Errc::unavailable);
  CHECK(has(error, "broken after 1000 bytes"));
}

TEST_CASE("R08: a content encoding nobody asked for is refused", "[registry][hostile]") {
  CHECK(has(failure_of_pull("encoded"), "content encoding 'gzip'"));
}

TEST_CASE("a server that is no registry is told as that", "[registry][hostile]") {
  for (const char* mode : {"garbage", "closes", "html-404"}) {
    CAPTURE(mode);
    CHECK(failure_of_pull(mode).code() == Errc::unavailable);
  }
  CHECK(has(failure_of_pull("html-404"), "answers GET /v2/ with status 404, expected 200 or 401"));
  const lay::Error html = failure_of_pull("html");
  CHECK(has(html, "HTML page"));
  CHECK(has(failure_of_pull("manifest-html"), "HTML page, expected a manifest"));
  CHECK(has(failure_of_pull("header-flood"), "too many header lines"));
}

TEST_CASE("J04: a manifest that lies about itself is refused", "[registry][hostile]") {
  CHECK(failure_of_pull("manifest-junk").code() == Errc::invalid);
  const lay::Error header = failure_of_pull("manifest-header");
  CHECK(header.code() == Errc::corrupt);
  CHECK(has(header, "expected sha256:1111"));
  CHECK(failure_of_pull("manifest-bad-header").code() == Errc::invalid);
  CHECK(failure_of_pull("manifest-type").code() == Errc::invalid);
  CHECK(failure_of_pull("schema1").code() == Errc::invalid);
  CHECK(has(failure_of_pull("manifest-endless"), "expected at most 4194304"));
  CHECK(has(failure_of_pull("diff-id-count"), "the config lists 1 layers, the manifest 2"));
  CHECK(failure_of_pull("artifact").code() == Errc::unsupported);
  const lay::Error platform = failure_of_pull("other-platform");
  CHECK(platform.code() == Errc::unsupported);
  CHECK(platform.hint() == "ask for it with --platform linux/s390x");
  CHECK(failure_of_pull("index-cycle").code() == Errc::corrupt);
}

TEST_CASE("J12: an image config that cannot be understood is refused", "[registry][hostile]") {
  CHECK(failure_of_pull("config-junk").code() == Errc::invalid);
}

TEST_CASE("R14: a registry's error text is bounded and cannot reach the terminal raw",
          "[registry][hostile]") {
  CHECK(failure_of_pull("error-endless").message().size() < 1000);
  const lay::Error escape = failure_of_pull("error-escape");
  CHECK(escape.code() == Errc::not_found);
  CHECK(has(escape, "gone"));
  CHECK_FALSE(has(escape, "\x1b"));
  CHECK(has(failure_of_pull("blob-error"), "status 503 'no'"));
}

TEST_CASE("R01: a redirect to another port does not take the credentials along", "[registry][hostile]") {
  const HostileRegistry registry("redirect-port");
  const TempStore store;
  CHECK_NOTHROW(pull_from(registry, store));
  CHECK(secrets_at(registry, registry.other_port()) == std::set<std::string>{""});
  CHECK(secrets_at(registry, registry.port()).size() == 2);  // the greeting went without
}

TEST_CASE("R01: credentials that a redirect dropped do not come back with the next", "[registry][hostile]") {
  const HostileRegistry registry("redirect-back");
  const TempStore store;
  CHECK_NOTHROW(pull_from(registry, store));
  unsigned returned = 0;
  for (const Json& request : registry.requests())
    if (request["path"].get<std::string>().starts_with("/elsewhere/")) {
      CHECK(request["authorization"] == "");
      if (request["port"] == registry.port()) ++returned;
    }
  CHECK(returned == 1);
}

TEST_CASE("R09: redirects are bounded and stay with http", "[registry][hostile]") {
  CHECK(has(failure_of_pull("redirect-loop"), "redirected more than 5 times"));
  CHECK(has(failure_of_pull("redirect-file"), "neither http nor https"));
  CHECK(has(failure_of_pull("redirect-nowhere"), "without a location"));
}

TEST_CASE("R05: a token is asked for the one repository, and the password goes to the token server alone",
          "[registry][hostile]") {
  const HostileRegistry registry("bearer");
  const TempStore store;
  pull_from(registry, store);
  unsigned tokens = 0;
  for (const Json& request : registry.requests()) {
    const std::string path = request["path"];
    const std::string authorization = request["authorization"];
    if (path.starts_with("/token")) {
      ++tokens;
      CHECK(authorization.starts_with("Basic "));
      CHECK(path.find("scope=repository%3Ateam%2Fapp%3Apull") != std::string::npos);
    } else {
      CHECK_FALSE(authorization.starts_with("Basic "));
    }
  }
  CHECK(tokens == 1);
}

TEST_CASE("R05: a token server that cannot be trusted gets nothing", "[registry][hostile]") {
  CHECK(has(failure_of_pull("near-realm"), "nearer than the registry itself"));
  CHECK(has(failure_of_pull("bad-token"), "characters that no header may have"));
  const HostileRegistry registry("realm-redirects");
  const TempStore store;
  CHECK(error_of([&] { pull_from(registry, store); }).code() == Errc::unauthorized);
  CHECK(secrets_at(registry, registry.other_port()) == std::set<std::string>{""});
}

namespace {

PushResult push_to(const HostileRegistry& registry, const TempStore& store) {
  const auto image = lay::test::import(store.store, std::string(20480, '\0'), "app:1");
  return push(
      store.store, image.descriptor,
      {.reference = parse_reference(registry.host() + "/team/app:1"), .connection = {.credentials = kAnn}},
      lay::no_progress());
}

}  // namespace

TEST_CASE("an upload that goes elsewhere goes without credentials", "[registry][hostile]") {
  const HostileRegistry registry("upload-elsewhere");
  const TempStore store;
  CHECK(push_to(registry, store).blobs_sent == 2);
  CHECK(secrets_at(registry, registry.other_port()) == std::set<std::string>{""});
}

TEST_CASE("a registry that stores something else than was sent is found out", "[registry][hostile]") {
  const HostileRegistry liar("stores-other");
  const TempStore store;
  CHECK(error_of([&] { push_to(liar, store); }).code() == Errc::corrupt);
  const HostileRegistry silent("upload-nowhere");
  CHECK(error_of([&] { push_to(silent, store); }).message().find("does not say where") != std::string::npos);
}

TEST_CASE("R09: a server that stalls is given up", "[registry][hostile]") {
  const HostileRegistry registry("stall");
  const HttpClient http({.stall_seconds = 1});
  const auto manifest = require_response(
      http.try_send({.url = Url::parse("http://" + registry.host() + "/v2/team/app/manifests/1")}));
  const Json layer = lay::parse_json(manifest.body, "manifest")["layers"][0];
  const std::string blob =
      "http://" + registry.host() + "/v2/team/app/blobs/" + layer["digest"].get<std::string>();
  const lay::Error error = error_of([&] { require_response(http.try_send({.url = Url::parse(blob)})); });
  CHECK(error.code() == Errc::unavailable);
  CHECK(error.message().find("stalled after 10 bytes") != std::string::npos);
}

TEST_CASE("R09: a server that takes nothing more of a body is given up as early", "[registry][hostile]") {
  // The kernel makes the connection; nobody takes it.
  const lay::UniqueFd listener{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in address{
      .sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  socklen_t size = sizeof address;
  REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::listen(listener.get(), 1) == 0);
  REQUIRE(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);

  const HttpClient http({.stall_seconds = 1, .answer_seconds = 20});
  const HttpRequest request{
      .method = "PUT",
      .url = Url::parse("http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/x"),
      .body = text_body(std::string(64UL * 1024 * 1024, 'x'), "application/octet-stream")};
  const auto begin = std::chrono::steady_clock::now();
  const lay::Error error = error_of([&] { require_response(http.try_send(request)); });
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(15));
  CHECK(error.code() == Errc::unavailable);
  CHECK(error.message().find("stalled after ") != std::string::npos);
  CHECK(error.message().find(" bytes sent") != std::string::npos);
}

TEST_CASE("one layer's failure ends the others that still wait", "[registry][hostile]") {
  const HostileRegistry registry("blob-error");
  const TempStore store;
  const auto begin = std::chrono::steady_clock::now();
  CHECK(error_of([&] { pull_from(registry, store); }).code() == Errc::unavailable);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
}

namespace {

Connection quick_connection() {
  return {.credentials = kAnn, .patience = kQuick};
}

Reference team_app(const HostileRegistry& registry, const std::string& selector = ":1") {
  return parse_reference(registry.host() + "/team/app" + selector);
}

}  // namespace

TEST_CASE("a list of tags that does not end is given up", "[registry][hostile]") {
  CHECK(list_tags(team_app(HostileRegistry("good")), quick_connection()) == std::vector<std::string>{"1"});
  const HostileRegistry circle("tags-circle");
  const lay::Error turning = error_of([&] { list_tags(team_app(circle), quick_connection()); });
  CHECK(turning.code() == Errc::invalid);
  CHECK(has(turning, "lead in a circle"));
  CHECK(circle.requests().size() < 5);
  const HostileRegistry endless("tags-endless");
  const lay::Error much = error_of([&] { list_tags(team_app(endless), quick_connection()); });
  CHECK(much.code() == Errc::invalid);
  CHECK(has(much, "more than 67108864 bytes"));
}

TEST_CASE("a registry that does not name digests is deleted from by the manifest's own",
          "[registry][hostile]") {
  const HostileRegistry registry("good");
  const auto deleted = remove(team_app(registry), quick_connection());
  CHECK(registry.requests().back()["path"] == "/v2/team/app/manifests/" + deleted.to_string());
  CHECK(error_of([&] { remove(team_app(registry, ":absent"), quick_connection()); }).code() ==
        Errc::not_found);
}

TEST_CASE("a manifest whose deletion's answer was lost is deleted, not missing", "[registry][hostile]") {
  const HostileRegistry registry("delete-answer-lost");
  CHECK_NOTHROW(remove(team_app(registry), quick_connection()));
  CHECK(error_of([&] { remove(team_app(registry), quick_connection()); }).code() == Errc::not_found);
}

TEST_CASE("R05: a token server's answer has an end", "[registry][hostile]") {
  CHECK(has(failure_of_pull("token-endless"), "expected at most 1048576"));
}

TEST_CASE("R09: answers before the answer are bounded", "[registry][hostile]") {
  CHECK(has(failure_of_pull("interim-flood"), "too many header lines"));
}

TEST_CASE("J02: an image whose every digest is of sha512 is pulled and verified", "[registry][hostile]") {
  const HostileRegistry registry("sha512");
  const TempStore store;
  const auto image = pull_from(registry, store);
  using lay::layerstore::DigestAlgorithm;
  CHECK(image.descriptor.digest.algorithm() == DigestAlgorithm::sha512);
  for (const auto& layer : image.manifest.layers) {
    CHECK(layer.digest.algorithm() == DigestAlgorithm::sha512);
    CHECK(store.store.blobs().is_whole(layer));
  }
}
