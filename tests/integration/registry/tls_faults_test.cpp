#include <catch2/catch.hpp>

#include "error_of.h"
#include "fault_proxy.h"
#include "http/http.h"
#include "http/tls_files.h"
#include "shell.h"
#include "shipped_image.h"
#include "variable.h"

using namespace lay::registry;
using lay::Errc;
using lay::test::error_of;
using lay::test::FaultProxy;
using lay::test::kAnn;
using lay::test::kQuick;
using lay::test::ShippedImage;
using lay::test::TempFolder;
using lay::test::TempStore;

namespace {

/// A certificate for `host`, valid from yesterday on and for as many days as said, in a folder as certs.d has
/// one: trusted, so that only what is wrong with it counts.
struct Certificate {
  TempFolder folder;

  explicit Certificate(const std::string& host = "localhost", const std::string& days = "+2") {
    const auto made = lay::test::shell(
        "cd " + folder.path() +
        "; set -e; exec 2>&1; mkdir ca; : >ca/index; echo 01 >ca/serial\n"
        "printf '[ca]\\ndefault_ca=d\\n[d]\\ndatabase=ca/index\\nserial=ca/serial\\nnew_certs_dir=ca\\n"
        "policy=p\\ndefault_md=sha256\\n[p]\\ncommonName=supplied\\n[e]\\nsubjectAltName=DNS:" +
        host +
        "\\n' >ca/conf\n"
        "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=" +
        host +
        " -keyout key -out request\n"
        "openssl ca -batch -notext -selfsign -config ca/conf -extensions e -keyfile key -in request -out "
        "cert "
        "-startdate $(date -u -d '-2 days' +%y%m%d%H%M%SZ) -enddate $(date -u -d '" +
        days + " days' +%y%m%d%H%M%SZ)\nmkdir certs.d; cp cert certs.d/ca.crt");
    INFO(made.output);
    REQUIRE(made.status == 0);
  }
  std::string rule(const std::string& more = "") const {
    return R"({"tls": {"cert": ")" + folder.path() + R"(/cert", "key": ")" + folder.path() + "/key\"" + more +
           "}}";
  }
};

void pull_through(const FaultProxy& proxy, const TempStore& store, const Certificate& certificate) {
  const std::string name = proxy.host() + "/team/app:1";
  pull(store.store,
       {.reference = parse_reference(name),
        .connection = {.credentials = kAnn,
                       .cert_dir = certificate.folder.path() + "/certs.d",
                       .patience = kQuick}},
       name, lay::no_progress());
}

}  // namespace

TEST_CASE("a registry whose certificate is right is pulled from", "[registry][tls]") {
  const ShippedImage shipped;
  const Certificate good;
  const FaultProxy proxy(shipped.registry.port(),
                         R"([{"tokens": {"uses": 50, "user": "ann:s3cret:pw"}},)" + good.rule() + "]");
  const TempStore store;
  // The token server is plain http: it gets nothing, and the pull ends.
  CHECK(error_of([&] { pull_through(proxy, store, good); }).code() == Errc::invalid);
  CHECK(proxy.requests("GET", "/token").empty());
  const FaultProxy open(shipped.registry.port(), "[" + good.rule() + "]");
  CHECK_NOTHROW(pull_through(open, store, good));
}

namespace {

/// Both ports of the proxy speak TLS, the token server is at `realm`.
std::string tls_rules(const Certificate& certificate, const std::string& realm,
                      const std::string& more = "") {
  return R"([{"tokens": {"uses": 50, "user": "ann:s3cret:pw", "realm": ")" + realm + R"("}},)" +
         certificate.rule(R"(, "both": true)") + more + "]";
}

constexpr const char* kTokensElsewhere = "https://localhost:{other_port}/token";

}  // namespace

TEST_CASE("what is trusted for a registry is trusted for its own token server", "[registry][tls]") {
  const ShippedImage shipped;
  const Certificate good;
  const FaultProxy proxy(shipped.registry.port(), tls_rules(good, kTokensElsewhere));
  const TempStore store;
  CHECK_NOTHROW(pull_through(proxy, store, good));
  CHECK(proxy.requests("GET", "/token").size() == 1);

  // The certificate is not 127.0.0.1's: nothing but --tls-verify=false lets that pass.
  const FaultProxy other(shipped.registry.port(), tls_rules(good, "https://127.0.0.1:{other_port}/token"));
  const TempStore there;
  CHECK(error_of([&] { pull_through(other, there, good); }).code() == Errc::unavailable);
  const std::string name = other.host() + "/team/app:1";
  CHECK_NOTHROW(pull(there.store,
                     {.reference = parse_reference(name),
                      .connection = {.tls_verify = TlsVerify::off, .credentials = kAnn, .patience = kQuick}},
                     name, lay::no_progress()));
}

TEST_CASE("what is trusted for a registry leaves its token server those that are trusted for all",
          "[registry][tls]") {
  const ShippedImage shipped;
  const Certificate company;
  const Certificate open;
  const FaultProxy tokens(shipped.registry.port(), "[" + open.rule() + "]");
  const HttpClient client(
      {.tls = read_tls_folder(company.folder.path() + "/certs.d"), .tls_origin = "registry.example:5000"});
  const HttpRequest request{.url = Url::parse("https://" + tokens.host() + "/v2/"), .trust = Trust::registry};
  {
    const lay::test::Variable nothing("SSL_CERT_FILE", "");
    CHECK(error_of([&] { require_response(client.try_send(request)); }).code() == Errc::unavailable);
  }
  const lay::test::Variable usual("SSL_CERT_FILE", open.folder.path() + "/cert");
  CHECK(require_response(client.try_send(request)).ok());

  // Its own certs.d folder is read for authorities alone: no client certificate is shown to it.
  const std::string place = "config/containers/certs.d/" + tokens.host();
  const lay::test::Variable config("XDG_CONFIG_HOME", open.folder.path() + "/config");
  REQUIRE(
      lay::test::shell("cd " + open.folder.path() + " && mkdir -p " + place + " && touch " + place + "/x.key")
          .status == 0);
  CHECK(require_response(client.try_send(request)).ok());
}

TEST_CASE("what is trusted for a registry is not for where it redirects to, certs.d for that host is",
          "[registry][tls]") {
  const ShippedImage shipped;
  const Certificate good;
  const FaultProxy proxy(shipped.registry.port(),
                         tls_rules(good, kTokensElsewhere,
                                   R"(, {"method": "GET", "path": "/blobs/", "times": 99, "do": "redirect",
                                         "to": "https://localhost:{other_port}{path}"})"));
  const TempStore store;
  const lay::Error error = error_of([&] { pull_through(proxy, store, good); });
  const std::string place = "certs.d/localhost:" + std::to_string(proxy.other_port());
  CAPTURE(error.message());
  CHECK(error.code() == Errc::unavailable);
  CHECK(error.hint().find(place) != std::string::npos);

  const lay::test::Variable config("XDG_CONFIG_HOME", good.folder.path() + "/config");
  REQUIRE(lay::test::shell("cd " + good.folder.path() + " && mkdir -p config/containers/" + place +
                           " && cp cert config/containers/" + place + "/ca.crt")
              .status == 0);
  CHECK_NOTHROW(pull_through(proxy, store, good));
}

TEST_CASE(
    "R10: a certificate that has expired or is another host's, and old TLS, are refused before anything is "
    "sent",
    "[registry][tls]") {
  const ShippedImage shipped;
  const Certificate good;
  const Certificate expired("localhost", "-1");
  const Certificate other("registry.example");
  for (const auto& [certificate, more] :
       std::vector<std::pair<const Certificate*, std::string>>{{&expired, ""},
                                                               {&other, ""},
                                                               {&good, R"(, "version": "TLSv1")"},
                                                               {&good, R"(, "version": "TLSv1_1")"}}) {
    CAPTURE(certificate->rule(more));
    const FaultProxy proxy(shipped.registry.port(), "[" + certificate->rule(more) + "]");
    const TempStore store;
    CHECK(error_of([&] { pull_through(proxy, store, *certificate); }).code() == Errc::unavailable);
    CHECK(proxy.requests().empty());
  }
}

TEST_CASE("R02: an https registry leads nobody to plain http", "[registry][tls][faults]") {
  const ShippedImage shipped;
  const Certificate good;
  for (
      const char* rule :
      {R"({"method": "GET", "path": "/blobs/", "times": 99, "do": "redirect", "to": "{other}{path}"})",
       R"({"method": "GET", "path": "/manifests/", "times": 99, "do": "redirect", "to": "{other}{path}"})"}) {
    CAPTURE(rule);
    const FaultProxy proxy(shipped.registry.port(), "[" + good.rule() + "," + rule + "]");
    const TempStore store;
    const lay::Error error = error_of([&] { pull_through(proxy, store, good); });
    CHECK(error.code() == Errc::invalid);
    CHECK(error.message().find("from https to plain http") != std::string::npos);
    for (const auto& request : proxy.requests()) CHECK(request["port"] == proxy.port());
    CHECK(store.store.images().list().empty());
  }
}
