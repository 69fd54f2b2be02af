#include "base/text.h"

#include <catch2/catch.hpp>

using namespace lay;

TEST_CASE("text from outside cannot move the cursor or hide itself", "[base][text]") {
  CHECK(printable("plain – ünïcode") == "plain – ünïcode");
  CHECK(printable("a\x1b[2Jb") == "a\\x1b[2Jb");
  CHECK(printable("line\nbreak\x7f") == "line\\x0abreak\\x7f");
  CHECK(printable("bad \xff\xc3 utf8") == "bad \\xff\\xc3 utf8");
  CHECK(printable("over\xc0\xaflong") == "over\\xc0\\xaflong");
  CHECK(printable("\u202egnp.exe") == "\\xe2\\x80\\xaegnp.exe");
  CHECK(printable("c1 \u009b31m") == "c1 \\xc2\\x9b31m");
}

TEST_CASE("sizes are read with the powers of 1024 that docker uses", "[base][text]") {
  CHECK(parse_size("256m") == 256u << 20);
  CHECK(parse_size("1.5g") == 1610612736u);
  CHECK(parse_size("64K") == 65536u);
  CHECK(parse_size("2GiB") == 2147483648u);
  CHECK(parse_size("10b") == 10u);
  CHECK(parse_size("4096") == 4096u);
  for (const char* bad : {"", "m", "-1", "1x", "1 g", "nan", "0x10", "1e3", "99999999999t", "1.2.3"}) {
    INFO(bad);
    CHECK_FALSE(parse_size(bad));
  }
}

TEST_CASE("numbers are whole, decimal, and fit", "[base][text]") {
  CHECK(parse_number("0") == 0u);
  CHECK(parse_number("18446744073709551615") == UINT64_MAX);
  for (const char* bad : {"", "+1", "-1", "1 ", "18446744073709551616", "0x1"})
    CHECK_FALSE(parse_number(bad));
}

TEST_CASE("times survive being written and read", "[base][text]") {
  const auto time = parse_time("2026-11-22T21:33:17Z");
  REQUIRE(time);
  CHECK(format_time(*time) == "2026-11-22T21:33:17Z");
  CHECK(parse_time("2026-11-22T23:33:17.123456789+02:00") == time);
  CHECK(format_time(*parse_time("1969-12-31T23:59:59Z")) == "1969-12-31T23:59:59Z");
  for (const char* bad : {"", "now", "2026-11-22", "2026-11-22T21:33:17", "2026-11-22T21:33:17Zx"})
    CHECK_FALSE(parse_time(bad));
}

TEST_CASE("a time that the clock cannot hold becomes the nearest one it can", "[base][text]") {
  CHECK(format_time(*parse_time("0001-01-01T00:00:00Z")) == "1677-09-21T00:12:44Z");
  CHECK(format_time(*parse_time("9999-12-31T23:59:59Z")) == "2262-04-11T23:47:16Z");
}

TEST_CASE("ages are said in the unit that fits", "[base][text]") {
  const Time now = *parse_time("2026-11-22T12:00:00Z");
  CHECK(format_age(now - std::chrono::seconds(1), now) == "1 second ago");
  CHECK(format_age(now - std::chrono::minutes(3), now) == "3 minutes ago");
  CHECK(format_age(now - std::chrono::hours(50), now) == "2 days ago");
  CHECK(format_age(now, now) == "now");
  CHECK(format_age(now - std::chrono::hours(24 * 365), now) == "12 months ago");
  CHECK(format_age(now - std::chrono::hours(24 * 365 * 57), now) == "57 years ago");
}

TEST_CASE("sizes are shown with three digits", "[base][text]") {
  CHECK(format_size(0) == "0 B");
  CHECK(format_size(999) == "999 B");
  CHECK(format_size(1500) == "1.50 kB");
  CHECK(format_size(902'000'000) == "902 MB");
}

TEST_CASE("what is shortened is cut between characters", "[base][text]") {
  CHECK(shortened("", 3) == "");
  CHECK(shortened("abcdef", 6) == "abcdef");
  CHECK(shortened("abcdefg", 6) == "abc...");
  CHECK(shortened("ab€€€€", 6) == "ab€€€€");
  CHECK(shortened("ab€€€€€", 6) == "ab€...");
  CHECK(shortened("\xff\xff\xff\xff€€€", 6) == "\xff\xff\xff...");
  CHECK(shortened("abcd", 3) == "...");
}

TEST_CASE("characters are counted, and bytes that are of none", "[base][text]") {
  CHECK(count_characters("") == 0);
  CHECK(count_characters("aä€𝄞") == 4);
  CHECK(count_characters("a\xe2\x82") == 3);
  CHECK(count_characters("\xed\xa0\x80") == 3);  // a surrogate
}

TEST_CASE("exact times have nine digits behind the second, also before the epoch", "[base][text]") {
  using namespace std::chrono_literals;
  CHECK(format_exact_time(*parse_time("2026-11-22T21:33:17Z") + 5ms) == "2026-11-22T21:33:17.005000000Z");
  CHECK(format_exact_time(Time{} - 1ms) == "1969-12-31T23:59:59.999000000Z");
}

TEST_CASE("an id is a number below the one that means no change", "[base][text]") {
  CHECK(parse_id("0") == 0u);
  CHECK(parse_id("4294967294") == 4294967294u);
  for (const char* bad : {"", "-1", "4294967295", "4294967296", "root"}) CHECK_FALSE(parse_id(bad));
}

TEST_CASE("a plain path has no detours and no slash at its end", "[base][text]") {
  CHECK(plain_path("/a//b/./c/../d/") == "/a/b/d");
  CHECK(plain_path("//") == "/");
  CHECK(plain_path("/") == "/");
  CHECK(plain_path("a/") == "a");
}
