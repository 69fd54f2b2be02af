#include "http/redirect.h"

#include <catch2/catch.hpp>

#include "error_of.h"

using namespace lay::registry;
using lay::test::error_of;

namespace {

HttpRequest request_to(const std::string& url) {
  return {.url = Url::parse(url), .authorization = "Basic c2VjcmV0"};
}

HttpResponse answer_with(const std::string& location, int status = 307) {
  HttpResponse response{.status = status, .url = Url::parse("http://unused.example")};
  response.headers.add("location", location);
  return response;
}

std::string authorization_at(const std::string& from, const std::string& to) {
  return plan_redirect(request_to(from), answer_with(to)).authorization;
}

}  // namespace

TEST_CASE("R01: the authorization goes along only to the same scheme, host and port",
          "[registry][redirect]") {
  CHECK(authorization_at("https://reg.io/v2/a", "https://reg.io/other") == "Basic c2VjcmV0");
  CHECK(authorization_at("https://reg.io/v2/a", "/relative") == "Basic c2VjcmV0");
  CHECK(authorization_at("https://reg.io/v2/a", "https://REG.io:443/x") == "Basic c2VjcmV0");
  for (const char* elsewhere : {"https://cdn.io/x", "https://reg.io:8443/x", "https://reg.io.evil/x",
                                "//evil.io/x", "https://sub.reg.io/x"})
    CHECK(authorization_at("https://reg.io/v2/a", elsewhere).empty());
  CHECK(authorization_at("http://localhost:5000/v2/a", "https://localhost:5000/x").empty());
}

TEST_CASE("R01: a dropped authorization does not come back when a later hop returns",
          "[registry][redirect]") {
  const HttpRequest away = plan_redirect(request_to("https://reg.io/a"), answer_with("https://evil.io/"));
  CHECK(plan_redirect(away, answer_with("https://reg.io/a")).authorization.empty());
}

TEST_CASE("R02: https never leads to plain http", "[registry][redirect]") {
  for (const char* plain : {"http://reg.io/x", "http://localhost/x", "HTTP://cdn.io"})
    CHECK(error_of([&] { authorization_at("https://reg.io/a", plain); }).code() == lay::Errc::invalid);
  CHECK_THROWS(authorization_at("http://localhost:5000/a", "http://other.host/x"));
  CHECK_NOTHROW(authorization_at("http://localhost:5000/a", "http://127.0.0.1:9000/x"));
}

TEST_CASE("R12: a location that is no http address is refused without being shown in full",
          "[registry][redirect]") {
  for (const char* bad :
       {"", "file:///etc/passwd", "ftp://host/x", "gopher://x", "https://user:secret@reg.io/x",
        "https://reg.io:99999/", "https://a b/", "http://"}) {
    CAPTURE(bad);
    const lay::Error error = error_of([&] { authorization_at("https://reg.io/a", bad); });
    CHECK(error.code() == lay::Errc::invalid);
    CHECK(error.message().find("secret") == std::string::npos);
  }
  const std::string signed_url = "http://cdn.io/x?signature=secret";
  CHECK(error_of([&] { authorization_at("https://reg.io/a", signed_url); }).message().find("secret") ==
        std::string::npos);
}

TEST_CASE("R04: a stranger's registry may not send us to what only this machine can reach",
          "[registry][redirect]") {
  HttpResponse response = answer_with("https://metadata.example/x");
  response.peer = AddressClass::global;
  CHECK(plan_redirect(request_to("https://reg.io/a"), response).nearest == AddressClass::internal);
  response.peer = AddressClass::loopback;
  CHECK(plan_redirect(request_to("https://localhost/a"), response).nearest == AddressClass::loopback);
}

TEST_CASE("R01: a request with a body follows only redirects that keep its method", "[registry][redirect]") {
  const HttpRequest get = request_to("https://reg.io/a");
  HttpRequest put = get;
  put.method = "PUT";
  for (const int status : {301, 302, 303}) {
    CHECK(is_redirect(get, answer_with("/x", status)));
    CHECK_FALSE(is_redirect(put, answer_with("/x", status)));
  }
  for (const int status : {307, 308}) CHECK(is_redirect(put, answer_with("/x", status)));
  for (const int status : {200, 300, 304, 305, 404}) CHECK_FALSE(is_redirect(get, answer_with("/x", status)));
}

TEST_CASE("R04: an address with a number for a host is read as the address it stands for",
          "[registry][url]") {
  CHECK(Url::parse("http://0x7f.1:5000/").host() == "127.0.0.1");
  CHECK(Url::parse("http://2130706433/").host() == "127.0.0.1");
  CHECK(Url::parse("HTTPS://Reg.IO/x").host() == "reg.io");
  CHECK(Url::parse("https://reg.io").port() == 443);
  CHECK(Url::parse("https://reg.io/u?a=b").with_query("digest", "sha256:x").text() ==
        "https://reg.io/u?a=b&digest=sha256%3Ax");
}
