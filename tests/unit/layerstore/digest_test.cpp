#include "layerstore/digest.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <random>

#include "error_of.h"

using namespace lay;
using namespace lay::layerstore;
using test::error_of;

namespace {

const std::string kEmpty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Texts that are no digest at all (threats J01).
std::vector<std::string> broken_digests() {
  return {"",
          ":",
          "sha256",
          "sha256:",
          ":" + kEmpty,
          kEmpty,
          "sha256:" + kEmpty.substr(1),
          "sha256:" + kEmpty + "0",
          "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
          "SHA256:" + kEmpty,
          "Sha256:" + kEmpty,
          "sha256:" + kEmpty + "\n",
          "\nsha256:" + kEmpty,
          " sha256:" + kEmpty,
          "sha256 :" + kEmpty,
          "sha256: " + kEmpty.substr(1),
          "sha256::" + kEmpty.substr(1),
          "sha256:../../../../../../../../../../../../../../../../../../../../etc/x",
          "sha256:%2e%2e%2f" + kEmpty.substr(9),
          "sha256:g" + kEmpty.substr(1),
          "sha256:" + kEmpty.substr(0, 63) + "/",
          "sha256:" + std::string(64, '\0'),
          "sha256:" + kEmpty.substr(0, 63) + std::string(1, '\0'),
          "sha256:\xd9\xa0" + kEmpty.substr(2),
          "sha256\0:" + kEmpty,
          "sha512:" + kEmpty,
          "sha256:" + kEmpty + kEmpty,
          "../sha256:" + kEmpty,
          "sha256/" + kEmpty,
          "+sha256:" + kEmpty,
          "a+:" + kEmpty,
          "a++b:" + kEmpty,
          "md5:",
          "md5:a/b",
          std::string(10'000'000, 'a'),
          "sha256:" + std::string(10'000'000, 'a')};
}

}  // namespace

TEST_CASE("a digest is an algorithm and exactly its lower-case hexadecimal digits", "[layerstore][digest]") {
  const Digest digest = Digest::parse("sha256:" + kEmpty);
  CHECK(digest.algorithm() == DigestAlgorithm::sha256);
  CHECK(digest.algorithm_name() == "sha256");
  CHECK(digest.hex() == kEmpty);
  CHECK(digest.to_string() == "sha256:" + kEmpty);
  CHECK(digest.short_hex() == "e3b0c44298fc");
  CHECK(Digest::parse("sha512:" + kEmpty + kEmpty).algorithm() == DigestAlgorithm::sha512);
}

TEST_CASE("J01: every other text is refused before it could become a path", "[layerstore][digest]") {
  for (const std::string& text : broken_digests()) {
    CAPTURE(text.substr(0, 100));
    CHECK_FALSE(Digest::try_parse(text).has_value());
    const Error error = error_of([&] { Digest::parse(text); });
    CHECK(error.code() == Errc::invalid);
    CHECK(error.message().size() < 700);
    CHECK(error.message().find('\n') == std::string::npos);
  }
}

TEST_CASE("J02: a digest of another algorithm is said to be unsupported, never left unverified",
          "[layerstore][digest]") {
  for (const char* text :
       {"md5:d41d8cd98f00b204e9800998ecf8427e", "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "blake3:af1349b9f5f9a1a6a0404dea36dcc949", "sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7",
        "multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8"}) {
    CAPTURE(text);
    CHECK_FALSE(Digest::try_parse(text).has_value());
    CHECK(error_of([&] { Digest::parse(text); }).code() == Errc::unsupported);
  }
}

TEST_CASE("J01: random changes of a digest are a digest only when they keep the grammar",
          "[layerstore][digest]") {
  std::mt19937 random(7);
  const std::string alphabet = "0123456789abcdefABCDEFgz:+-_./\\\n%=" + std::string(1, '\0');
  for (int round = 0; round < 20'000; ++round) {
    std::string text = "sha256:" + kEmpty;
    text[random() % text.size()] = alphabet[random() % alphabet.size()];
    const bool valid =
        text.starts_with("sha256:") && text.find_first_not_of("0123456789abcdef", 7) == std::string::npos;
    REQUIRE(Digest::try_parse(text).has_value() == valid);
  }
}

TEST_CASE("hashes are those of FIPS 180-4", "[layerstore][digest]") {
  CHECK(digest_of("").hex() == kEmpty);
  CHECK(digest_of("abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Hasher sha512(DigestAlgorithm::sha512);
  const std::string_view text = "abc";
  sha512.update(std::as_bytes(std::span(text)));
  CHECK(sha512.finish().to_string() ==
        "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
}

TEST_CASE("hashing streams pass bytes on unchanged and count them", "[layerstore][digest]") {
  StringSink target;
  HashingSink sink(target);
  StringSource text("hello");
  HashingSource source(text);
  pump(source, sink);
  sink.finish();
  CHECK(target.text() == "hello");
  CHECK(sink.size() == 5);
  CHECK(source.size() == 5);
  CHECK(sink.digest() == digest_of("hello"));
  CHECK(source.digest() == digest_of("hello"));
}

TEST_CASE("streams that are hashed together have the hashes that each has alone", "[layerstore][digest]") {
  std::mt19937 random(11);
  std::string text(1'000'003, '\0');
  for (char& c : text) c = static_cast<char>(random());
  const auto bytes = std::as_bytes(std::span(text));
  const std::size_t count = GENERATE(1U, 2U, 3U, 4U);
  const bool in_phase = GENERATE(true, false);
  std::vector<Hasher> hashers(count);
  std::vector<std::string> alone(count);
  for (std::size_t i = 0; i < count; ++i) {  // each has a past of its own
    const std::size_t before = i * (in_phase ? 640 : 13);
    hashers[i].update(bytes.first(before));
    alone[i] = text.substr(0, before);
  }
  std::vector<Hasher*> together;
  for (Hasher& hasher : hashers) together.push_back(&hasher);
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t size =
        std::min<std::size_t>(bytes.size() - at, random() % 5 == 0 ? random() % 300 : 4096);
    Hasher::update_together(together, bytes.subspan(at, size));
    at += size;
  }
  for (std::size_t i = 0; i < count; ++i) CHECK(hashers[i].finish() == digest_of(alone[i] + text));
}

TEST_CASE("the length of streams that are hashed together carries into its upper half",
          "[layerstore][digest]") {
  const std::string block(16 * 1024 * 1024, 'x');  // 33 of them are more bits than 32 bits count
  const auto bytes = std::as_bytes(std::span(block));
  Hasher first;
  Hasher second;
  Hasher alone;
  const std::array<Hasher*, 2> both{&first, &second};
  for (int i = 0; i < 33; ++i) {
    Hasher::update_together(both, bytes);
    alone.update(bytes);
  }
  const Digest expected = alone.finish();
  CHECK(first.finish() == expected);
  CHECK(second.finish() == expected);
}
