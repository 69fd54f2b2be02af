#include "images/index_parts.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace lay::layerstore {

namespace {

using Entries = std::vector<std::string_view>;

Entries entries_of(std::string_view text) {
  const auto parts = split_index(text);
  REQUIRE(parts);
  return parts->manifests;
}

}  // namespace

TEST_CASE("an index is taken apart at its entries, whatever is in them", "[layerstore][index]") {
  CHECK(entries_of(R"({"manifests":[]})").empty());
  CHECK(entries_of(R"({"schemaVersion":2,"manifests":[{"a":1}]})") == Entries{R"({"a":1})"});
  CHECK(entries_of("{ \"x\":{\"manifests\":[1]} ,\n\"manifests\" : [ {} , {\"b\":[{}]}\t] }") ==
        Entries{"{}", R"({"b":[{}]})"});
  CHECK(entries_of(R"({"manifests":[{"a":"]}{[,\"\\"},{"b":"\\\""}]})") ==
        Entries{R"({"a":"]}{[,\"\\"})", R"({"b":"\\\""})"});
}

TEST_CASE("the frame of an index is the document without its entries", "[layerstore][index]") {
  const std::string text = R"({"schemaVersion":2,"manifests":[{"a":1},{}],"more":{"x":[1]}})";
  CHECK(split_index(text)->frame == R"({"schemaVersion":2,"manifests":[],"more":{"x":[1]}})");
}

TEST_CASE("what is not plainly an index is left to who parses it whole", "[layerstore][index]") {
  for (const char* text : {
           "",
           "{}",
           "[]",
           "5",
           R"({"manifests":null})",
           R"({"manifests":{}})",
           R"({"manifests":[1]})",
           R"({"manifests":["x"]})",
           R"({"manifests":[[]]})",
           R"({"manifests":[{},]})",
           R"({"manifests":[,{}]})",
           R"({"manifests":[{}{}]})",
           R"({"manifests":[{})",
           R"({"manifests":[{}]}})",
           R"({"manifests":[{"a":"b])",
           R"({"manifests":[],"manifests":[{}]})",
           R"({"manifests":[{}],"manifest\u0073":[]})",
           R"([{"manifests":[{}]}])",
       }) {
    CAPTURE(text);
    CHECK_FALSE(split_index(text));
  }
  CHECK_FALSE(split_index(R"({"manifests":[{"a":)" + std::string(100, '[') + std::string(100, ']') + "}]}"));
}

}  // namespace lay::layerstore
