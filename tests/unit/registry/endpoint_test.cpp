#include "client/endpoint.h"

#include <catch2/catch.hpp>

#include "auth/authorizer.h"
#include "client/api_error.h"
#include "error_of.h"

using namespace lay::registry;
using lay::test::error_of;

namespace {

std::vector<std::string> plan(const std::string& domain, TlsVerify tls_verify) {
  std::vector<std::string> texts;
  for (const Url& url : plan_endpoints(domain, tls_verify)) texts.push_back(url.text());
  return texts;
}

using List = std::vector<std::string>;

Url realm_of(const std::string& realm, const std::string& registry, AddressClass peer) {
  return check_realm({"bearer", {{"realm", realm}}}, Url::parse(registry), peer);
}

HttpResponse refusal(int status, const std::string& body, const std::string& type = "application/json") {
  HttpResponse response{.status = status, .body = body, .url = Url::parse("http://localhost:5000/v2/")};
  response.headers.add("content-type", type);
  return response;
}

}  // namespace

TEST_CASE("R02: a registry elsewhere is spoken to in https alone unless the user says otherwise",
          "[registry][endpoint]") {
  CHECK(plan("quay.io", TlsVerify::usual) == List{"https://quay.io/"});
  CHECK(plan("quay.io", TlsVerify::required) == List{"https://quay.io/"});
  CHECK(plan("10.0.0.5:5000", TlsVerify::required) == List{"https://10.0.0.5:5000/"});
  CHECK(plan("quay.io", TlsVerify::off) == List{"https://quay.io/", "http://quay.io/"});
  CHECK(plan("docker.io", TlsVerify::required) == List{"https://registry-1.docker.io/"});
}

TEST_CASE("a registry on this machine may be plain http", "[registry][endpoint]") {
  for (const TlsVerify tls : {TlsVerify::usual, TlsVerify::off})
    CHECK(plan("localhost:5000", tls) == List{"http://localhost:5000/", "https://localhost:5000/"});
  CHECK(plan("127.0.0.9:5000", TlsVerify::usual).front() == "http://127.0.0.9:5000/");
  CHECK(plan("[::1]:5000", TlsVerify::usual).front() == "http://[::1]:5000/");
  CHECK(plan("localhost:443", TlsVerify::usual) == List{"https://localhost:443/"});
}

TEST_CASE("R02: TLS that the user asks for is not given up for a registry on this machine",
          "[registry][endpoint]") {
  CHECK(plan("localhost:5000", TlsVerify::required) == List{"https://localhost:5000/"});
  CHECK(plan("[::1]:5000", TlsVerify::required) == List{"https://[::1]:5000/"});
}

TEST_CASE("R04: a token server may be elsewhere, but not nearer than the registry", "[registry][auth]") {
  const auto ask = [](const std::string& realm) {
    return realm_of(realm, "https://reg.io", AddressClass::global);
  };
  CHECK(ask("https://auth.docker.io/token").host() == "auth.docker.io");
  CHECK(ask("https://reg.io/token").host() == "reg.io");
  for (const char* near :
       {"https://127.0.0.1/t", "https://localhost/t", "https://169.254.169.254/t", "https://10.0.0.1/t",
        "https://192.168.0.1/t", "https://[::1]/t", "https://[::ffff:169.254.169.254]/t", "https://0.0.0.0/t",
        "https://100.64.0.1/t", "https://0x7f.1/t", "https://2130706433/t", "https://0177.0.0.1/t"}) {
    CAPTURE(near);
    CHECK(error_of([&] { ask(near); }).code() == lay::Errc::invalid);
  }
  CHECK_NOTHROW(realm_of("http://127.0.0.1:5001/t", "http://localhost:5000", AddressClass::loopback));
}

TEST_CASE("R02: a token server without https is refused for a registry with https", "[registry][auth]") {
  for (const char* realm :
       {"http://reg.io/t", "http://auth.io/t", "ftp://x/", "token", "", "https://u:p@auth.io/t"})
    CHECK(error_of([&] { realm_of(realm, "https://reg.io", AddressClass::global); }).code() ==
          lay::Errc::invalid);
}

TEST_CASE("R05: a token is taken from either member and must fit into a header", "[registry][auth]") {
  CHECK(parse_token(R"({"token":"abc.def"})") == "abc.def");
  CHECK(parse_token(R"({"access_token":"xyz","expires_in":-5})") == "xyz");
  for (const char* bad :
       {"", "no json", "[]", "{}", R"({"token":5})", R"({"token":""})", R"({"token":"a\r\nX: y"})",
        R"({"token":"ü"})", R"({"token":"a b"})", "<html>secret</html>"}) {
    CAPTURE(bad);
    const lay::Error error = error_of([&] { parse_token(bad); });
    CHECK(error.code() == lay::Errc::unavailable);
    CHECK(error.message().find("secret") == std::string::npos);
  }
}

TEST_CASE("a registry's refusal becomes one line", "[registry][api]") {
  const auto line = [](const HttpResponse& response) { return api_error(response, "app:1").message(); };
  CHECK(line(refusal(404, R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]})")) ==
        "app:1: manifest unknown");
  CHECK(line(refusal(404, R"({"errors":[{"code":"NAME_UNKNOWN"}]})")) == "app:1: name unknown");
  CHECK(line(refusal(500, "")) == "app:1: status 500 with no explanation");
  CHECK(line(refusal(502, "<html>…", "text/html; charset=utf-8")) ==
        "app:1: status 502 with an HTML page: is this a registry?");
  CHECK(line(refusal(413, "<html>…", "text/html")) == "app:1: status 413 (the request is too large)");
  CHECK(line(refusal(400, "line one\nline two", "text/plain")) == "app:1: status 400 'line one'");
  for (const char* odd :
       {"[]", "{}", "5", R"({"errors":5})", R"({"errors":[5]})", R"({"errors":[{"message":5}]})"})
    CHECK(line(refusal(400, odd)).starts_with("app:1: status 400"));
}

TEST_CASE("R14: a refusal's text cannot control the terminal or fill it", "[registry][api]") {
  const std::string hostile =
      R"({"errors":[{"message":"\u001b]52;c;aGk=\u0007)" + std::string(9000, 'x') + "\"}]}";
  const std::string message = api_error(refusal(400, hostile), "a").message();
  CHECK(message.find('\x1b') == std::string::npos);
  CHECK(message.size() < 1000);
}

TEST_CASE("the kind of a refusal follows its status", "[registry][api]") {
  const auto code = [](int status) { return api_error(refusal(status, "{}"), "a").code(); };
  CHECK(code(401) == lay::Errc::unauthorized);
  CHECK(code(403) == lay::Errc::denied);
  CHECK(code(404) == lay::Errc::not_found);
  CHECK(code(429) == lay::Errc::unavailable);
  CHECK(code(503) == lay::Errc::unavailable);
  CHECK(code(400) == lay::Errc::invalid);
}
