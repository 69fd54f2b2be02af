#include "http/multipart.h"

#include <catch2/catch.hpp>

using namespace lay::registry;
using Parts = std::vector<lay::layerstore::BlobPart>;
using Views = std::vector<std::string_view>;

namespace {

const Parts kWanted{{.offset = 2, .size = 3}, {.offset = 10, .size = 1}};
constexpr const char* kType = "multipart/byteranges; boundary=xyz";

std::string part(const std::string& range, const std::string& bytes) {
  return "--xyz\r\nContent-Type: application/octet-stream\r\ncontent-range: bytes " + range + "\r\n\r\n" +
         bytes + "\r\n";
}

std::optional<Views> parse(const std::string& body, const std::string& type = kType) {
  static std::string kept;  // what the views are of
  kept = body;
  return parse_multipart(type, kept, kWanted, 20);
}

}  // namespace

TEST_CASE("several ranges are asked for in one header", "[registry][multipart]") {
  CHECK(range_header(kWanted) == "bytes=2-4,10-10");
}

TEST_CASE("the parts of a multipart answer are told apart by their lengths, whatever they hold",
          "[registry][multipart]") {
  CHECK(parse(part("2-4/20", "abc") + part("10-10/20", "d") + "--xyz--\r\n") == Views{"abc", "d"});
  CHECK(parse("\r\n" + part("2-4/*", "--x") + part("10-10/20", "\n") + "--xyz--") == Views{"--x", "\n"});
  for (const char* type :
       {"Multipart/ByteRanges; boundary=\"xyz\"", "multipart/byteranges;boundary=xyz; a=b"})
    CHECK(parse(part("2-4/20", "abc") + part("10-10/20", "d") + "--xyz--", type).has_value());
}

TEST_CASE("an answer with other parts than were asked for is of no use", "[registry][multipart]") {
  const std::string first = part("2-4/20", "abc");
  const std::string second = part("10-10/20", "d");
  for (const std::string& body : std::vector<std::string>{
           "", "--xyz", "--xyz--", first + "--xyz--", second + first + "--xyz--", first + second,
           first + first, part("2-4/21", "abc") + second + "--xyz--",
           part("2-5/20", "abcd") + second + "--xyz--", part("2-4/20", "ab") + second + "--xyz--",
           part("2-4/20", "abcd") + second + "--xyz--", first + part("10-10/20", "") + "--xyz--",
           "--xyz\r\n\r\nabc\r\n" + second + "--xyz--", "--xyz\r\n" + std::string(5000, 'x') + "\r\n\r\n",
           first + second + second + "--xyz--"}) {
    CAPTURE(body.substr(0, 100));
    CHECK(parse(body) == std::nullopt);
  }
  for (const char* type : {"", "text/html", "multipart/mixed; boundary=xyz", "multipart/byteranges",
                           "multipart/byteranges; boundary=", "multipart/byteranges; boundary=abc"})
    CHECK(parse(first + second + "--xyz--", type) == std::nullopt);
}
