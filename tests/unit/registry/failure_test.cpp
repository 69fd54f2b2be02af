#include <catch2/catch.hpp>

#include "http/exchange.h"

using namespace lay::registry;

TEST_CASE("libcurl's words lose their capital, names among them keep theirs", "[registry][http]") {
  const auto reason = [](const char* words) {
    return describe_failure(CURLE_PEER_FAILED_VERIFICATION, words, 0, 0).reason;
  };
  CHECK(reason("Failed to connect") == "failed to connect");
  CHECK(reason("SSL certificate problem: x") == "SSL certificate problem: x");
  CHECK(reason("CONNECT tunnel failed, response 403") == "CONNECT tunnel failed, response 403");
  CHECK(reason("OpenSSL SSL_connect: x") == "OpenSSL SSL_connect: x");
}
