#include "http/proxy.h"

#include <catch2/catch.hpp>

#include "variable.h"

using namespace lay::registry;
using lay::test::Variable;

namespace {

bool excepts(const std::string& list, const std::string& url) {
  return is_excepted(list, Url::parse(url));
}

/// An environment that names no proxy.
struct NoProxies {
  Variable http{"http_proxy", ""};
  Variable http_upper{"HTTP_PROXY", ""};
  Variable https{"https_proxy", ""};
  Variable https_upper{"HTTPS_PROXY", ""};
  Variable all{"all_proxy", ""};
  Variable all_upper{"ALL_PROXY", ""};
  Variable except{"no_proxy", ""};
  Variable except_upper{"NO_PROXY", ""};
  Variable request{"REQUEST_METHOD", ""};
};

std::string proxy_of(const std::string& url) {
  return find_proxy(Url::parse(url));
}

}  // namespace

TEST_CASE("a host in no_proxy excepts itself and what is beneath it", "[registry][proxy]") {
  for (const char* list : {"reg.io", "other.io,reg.io", "other.io reg.io", " ,\treg.io , x", "REG.io"}) {
    CAPTURE(list);
    CHECK(excepts(list, "https://reg.io/v2/"));
    CHECK(excepts(list, "https://a.b.reg.io/v2/"));
    CHECK_FALSE(excepts(list, "https://evilreg.io/v2/"));
    CHECK_FALSE(excepts(list, "https://reg.io.evil/v2/"));
    CHECK_FALSE(excepts(list, "https://io/v2/"));
  }
}

TEST_CASE(".domain and *.domain in no_proxy except what is beneath the domain, as in Go's programs",
          "[registry][proxy]") {
  for (const char* list : {".reg.io", "*.reg.io", ".reg.io:443", "*.REG.io:443"}) {
    CAPTURE(list);
    CHECK(excepts(list, "https://sub.reg.io/v2/"));
    CHECK(excepts(list, "https://a.b.reg.io/v2/"));
    CHECK_FALSE(excepts(list, "https://reg.io/v2/"));
    CHECK_FALSE(excepts(list, "https://evilreg.io/v2/"));
  }
}

TEST_CASE("a star alone in no_proxy excepts all, and elsewhere stands for nothing", "[registry][proxy]") {
  CHECK(excepts("*", "https://reg.io/"));
  CHECK(excepts("x.io,*", "https://10.1.2.3:5000/"));
  for (const char* list : {"*:443", "reg.*", "*reg.io", "r*.io", ""})
    CHECK_FALSE(excepts(list, "https://reg.io/"));
}

TEST_CASE("a port in no_proxy limits the entry to it", "[registry][proxy]") {
  CHECK(excepts("reg.io:5000", "https://reg.io:5000/"));
  CHECK(excepts("reg.io:5000", "https://sub.reg.io:5000/"));
  CHECK_FALSE(excepts("reg.io:5000", "https://reg.io/"));
  CHECK(excepts("reg.io:443", "https://reg.io/"));
  CHECK(excepts("reg.io:80", "http://reg.io/"));
  CHECK_FALSE(excepts("reg.io:80", "https://reg.io/"));
  CHECK(excepts("10.1.2.3:5000", "http://10.1.2.3:5000/"));
  CHECK_FALSE(excepts("10.1.2.3:5000", "http://10.1.2.3:5001/"));
  CHECK(excepts("[fd00::1]:5000", "http://[fd00::1]:5000/"));
  CHECK_FALSE(excepts("[fd00::1]:5000", "http://[fd00::1]:5001/"));
  CHECK_FALSE(excepts(":443", "https://reg.io/"));
}

TEST_CASE("addresses and nets in no_proxy except addresses, however they are written", "[registry][proxy]") {
  for (const char* list : {"10.1.2.3", "10.1.2.0/24", "10.0.0.0/8", "0.0.0.0/0", "::ffff:10.1.2.3"})
    CHECK(excepts(list, "http://10.1.2.3/"));
  for (const char* list : {"10.1.2.4", "10.1.3.0/24", "10.1.2.3/33", "10.1.2.3/", "10.1.2.3/x", "10.1.2.3/-1",
                           "10.1.2", "1.2.3", ".2.3"})
    CHECK_FALSE(excepts(list, "http://10.1.2.3/"));
  for (const char* list : {"fd00::1", "[fd00::1]", "FD00:0:0::1", "fd00::/16", "::/0"})
    CHECK(excepts(list, "http://[fd00::1]/"));
  for (const char* list : {"fd00::2", "fd01::/16", "fd00::/129", "0.0.0.0/0"})
    CHECK_FALSE(excepts(list, "http://[fd00::1]/"));
  CHECK_FALSE(excepts("0.0.0.0/0", "http://reg.io/"));  // no name is looked up for it
}

TEST_CASE("a net whose length no number holds excepts nothing", "[registry][proxy]") {
  for (const char* list : {"10.0.0.0/18446744073709551615", "10.0.0.0/18446744073709551520",
                           "10.0.0.0/99999999999999999999", "fd00::/18446744073709551615"}) {
    CAPTURE(list);
    CHECK_FALSE(excepts(list, "http://192.0.2.1/"));
    CHECK_FALSE(excepts(list, "http://[2001:db8::1]/"));
  }
}

TEST_CASE("the proxy is that of the scheme, else that of all, and lower case goes before upper",
          "[registry][proxy]") {
  const NoProxies none;
  CHECK(proxy_of("https://reg.io/").empty());
  const Variable all("ALL_PROXY", "http://all:1");
  CHECK(proxy_of("https://reg.io/") == "http://all:1");
  CHECK(proxy_of("http://reg.io/") == "http://all:1");
  const Variable http("HTTP_PROXY", "http://plain:1");
  const Variable https("HTTPS_PROXY", "http://tls:1");
  CHECK(proxy_of("https://reg.io/") == "http://tls:1");
  CHECK(proxy_of("http://reg.io/") == "http://plain:1");
  const Variable https_lower("https_proxy", "http://lower:1");
  CHECK(proxy_of("https://reg.io/") == "http://lower:1");
}

TEST_CASE("HTTP_PROXY is not believed in a CGI program, where a request's header sets it",
          "[registry][proxy]") {
  const NoProxies none;
  const Variable http("HTTP_PROXY", "http://evil:1");
  const Variable request("REQUEST_METHOD", "GET");
  CHECK(proxy_of("http://reg.io/").empty());
  const Variable http_lower("http_proxy", "http://meant:1");
  CHECK(proxy_of("http://reg.io/") == "http://meant:1");
}

TEST_CASE("this machine and what no_proxy excepts have no proxy", "[registry][proxy]") {
  const NoProxies none;
  const Variable all("all_proxy", "http://all:1");
  for (const char* here :
       {"http://localhost:5000/", "http://127.0.0.1/", "http://127.9.9.9:1/", "http://[::1]/"})
    CHECK(proxy_of(here).empty());
  const Variable upper("NO_PROXY", "reg.io");
  CHECK(proxy_of("https://reg.io/").empty());
  const Variable lower("no_proxy", "other.io");
  CHECK(proxy_of("https://reg.io/") == "http://all:1");
  CHECK(proxy_of("https://other.io/").empty());
}

TEST_CASE("a proxy is shown without the login that it may have", "[registry][proxy]") {
  const NoProxies none;
  const auto shown = [](const std::string& proxy) {
    const Variable http("http_proxy", proxy);
    return shown_proxy(Url::parse("http://reg.io/"));
  };
  CHECK(shown("http://proxy:3128") == "http://proxy:3128");
  CHECK(shown("http://ann:s3@cret@proxy:3128/") == "http://proxy:3128/");
  CHECK(shown("ann:s3cret@proxy:3128") == "proxy:3128");
  CHECK(shown("").empty());
}
