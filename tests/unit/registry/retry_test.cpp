#include "http/retry.h"

#include <catch2/catch.hpp>

#include "http/blob_range.h"

using namespace lay::registry;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

Answer status(int value) {
  HttpResponse response;
  response.status = value;
  return response;
}

}  // namespace

TEST_CASE("a date that no clock holds is long ago, or far away", "[registry][retry]") {
  const auto now = std::chrono::system_clock::now();
  CHECK(lay::registry::parse_retry_after("Sun, 06 Nov 994 08:49:37 GMT", now) == std::chrono::seconds{0});
  CHECK(lay::registry::parse_retry_after("Fri, 01 Jan 9999 00:00:00 GMT", now) >
        std::chrono::hours{24 * 365});
}

TEST_CASE("only what may go better later is tried again", "[registry][retry]") {
  for (const int value : {408, 429, 500, 502, 503, 504, 599}) CHECK(is_worth_retrying(status(value)));
  for (const int value : {200, 301, 400, 401, 403, 404, 416, 501, 505})
    CHECK_FALSE(is_worth_retrying(status(value)));
  CHECK(is_worth_retrying(TransportFailure{TransportFailure::Kind::interrupted, "stalled"}));
  CHECK_FALSE(is_worth_retrying(TransportFailure{TransportFailure::Kind::certificate, "expired"}));
}

TEST_CASE("Retry-After is seconds or a date", "[registry][retry]") {
  const auto now = std::chrono::system_clock::from_time_t(784111777);  // Sun, 06 Nov 1994 08:49:37 GMT
  CHECK(parse_retry_after("7", now) == seconds{7});
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:50:37 GMT", now) == seconds{60});
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:40:37 GMT", now) == seconds{0});
  CHECK(parse_retry_after("99999999999999999", now) == seconds{1'000'000'000});
  for (const char* text : {"", "-1", "soon", "1.5", "Sun, 06 Nov 1994 08:50:37 GMT+1"})
    CHECK(parse_retry_after(text, now) == std::nullopt);
}

TEST_CASE("waits double up to a limit, and a server's wish is kept up to another", "[registry][retry]") {
  const Patience patience{.first_delay = milliseconds{400}};
  for (const unsigned attempt : {1U, 2U, 3U}) {
    const milliseconds whole{400 << (attempt - 1)};
    const auto wait = plan_wait(patience, attempt, std::nullopt).value();
    CHECK(wait <= whole);
    CHECK(wait >= whole * 3 / 4);
  }
  CHECK(plan_wait(patience, 1000, std::nullopt).value() <= seconds{30});
  CHECK(plan_wait(patience, 1, seconds{100}).value() == seconds{100});
  CHECK(plan_wait(patience, 1, seconds{121}) == std::nullopt);
}

TEST_CASE("a content range is read strictly", "[registry][retry]") {
  CHECK(parse_content_range("bytes 5-9/10") == ContentRange{.first = 5, .last = 9, .size = 10});
  CHECK(parse_content_range("bytes 5-9/*") == ContentRange{.first = 5, .last = 9, .size = std::nullopt});
  for (const char* text : {"", "bytes", "bytes 5-9", "bytes 9-5/10", "bytes 5-10/10", "bytes -9/10",
                           "items 5-9/10", "bytes 5-9/x", "bytes 5-99999999999999999999999/*"})
    CHECK(parse_content_range(text) == std::nullopt);
}
