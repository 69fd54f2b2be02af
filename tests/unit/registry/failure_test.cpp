#include <catch2/catch.hpp>

#include "http/exchange.h"

using namespace lay::registry;

TEST_CASE("libcurl's words lose their capital, names among them keep theirs", "[registry][http]") {
  const auto reason = [](const char* words) {
    return describe_failure(CURLE_PEER_FAILED_VERIFICATION, words, 0, {}).reason;
  };
  CHECK(reason("Failed to connect") == "failed to connect");
  CHECK(reason("SSL certificate problem: x") == "SSL certificate problem: x");
  CHECK(reason("CONNECT tunnel failed, response 403") == "CONNECT tunnel failed, response 403");
  CHECK(reason("OpenSSL SSL_connect: x") == "OpenSSL SSL_connect: x");
}

TEST_CASE("of a broken upload is told how much was sent, of a download how much came", "[registry][http]") {
  const Transferred upload{.received = 0, .sent = 10};
  CHECK(describe_failure(CURLE_SEND_ERROR, "x", 0, upload).reason == "broken after 10 bytes sent (x)");
  CHECK(describe_failure(CURLE_RECV_ERROR, "x", 0, {.received = 7}).reason == "broken after 7 bytes (x)");
}
