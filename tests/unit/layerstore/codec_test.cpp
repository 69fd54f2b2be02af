#include "layerstore/codec.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <numeric>
#include <random>
#include <string>

#include "base/error.h"
#include "base/stream.h"
#include "codec/codec_gzip.h"
#include "codec/codec_zstd.h"

namespace lay::layerstore {

namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

/// Words from a small vocabulary: compressible, but not trivially, and the same on every run.
std::string sample(std::size_t size) {
  std::mt19937 random(7);
  std::string text;
  while (text.size() < size)
    text += "word" + std::to_string(random() % 5000) + (random() % 9 == 0 ? "\n" : " ");
  text.resize(size);
  return text;
}

/// Writes in pieces of uneven length, as a tar writer does.
std::string compress(std::unique_ptr<ByteSink> sink, const StringSink& out, std::string_view text,
                     std::size_t piece = 100000) {
  for (std::size_t begin = 0; begin < text.size(); begin += piece)
    sink->write(bytes_of(text.substr(begin, piece)));
  sink->finish();
  return out.text();
}

std::string compress(Compression compression, std::string_view text, int level = 0) {
  StringSink out;
  return compress(make_compressor({.compression = compression, .level = level}, out), out, text);
}

std::string decompress(Compression compression, std::string_view text, std::size_t piece = 65536) {
  StringSource in(text);
  const auto source = make_decompressor(compression, in);
  std::string result;
  std::vector<std::byte> buffer(piece);
  while (const std::size_t count = source->read(buffer))
    result.append(reinterpret_cast<const char*>(buffer.data()), count);
  return result;
}

Errc failure_of(Compression compression, std::string_view text) {
  try {
    decompress(compression, text);
  } catch (const Error& error) {
    return error.code();
  }
  FAIL("the input was accepted");
  return Errc::io;
}

}  // namespace

TEST_CASE("every compression gives back what was written", "[layerstore][codec]") {
  const auto compression = GENERATE(Compression::none, Compression::gzip, Compression::zstd);
  const std::size_t size = GENERATE(0U, 1U, 1048576U, 3333333U);
  const std::string text = sample(size);
  CHECK(decompress(compression, compress(compression, text)) == text);
}

TEST_CASE("output that is read in small pieces is complete", "[layerstore][codec]") {
  const auto compression = GENERATE(Compression::gzip, Compression::zstd);
  const std::size_t piece = GENERATE(1U, 7U, 4096U);
  const std::string text(200000, 'z');
  CHECK(decompress(compression, compress(compression, text), piece) == text);
}

TEST_CASE("zstd bytes do not depend on the count of workers or the size of the pieces",
          "[layerstore][codec]") {
  const std::string text = sample(9 * 1024 * 1024 + 5);  // several jobs
  StringSink first;
  const std::string expected = compress(make_zstd_compressor(0, 1, first), first, text);
  for (const unsigned workers : {2U, 3U, 8U}) {
    StringSink out;
    CHECK(compress(make_zstd_compressor(0, workers, out), out, text, 4096 * workers + 1) == expected);
  }
}

TEST_CASE("gzip bytes do not depend on the count of workers or the size of the pieces",
          "[layerstore][codec]") {
  const int level = GENERATE(0, 1, 3, 4);
  const std::string text = sample(4 * 1024 * 1024 + 5);
  StringSink first;
  const std::string expected = compress(make_gzip_compressor(level, 1, first), first, text);
  for (const unsigned workers : {2U, 3U, 8U}) {
    StringSink out;
    CHECK(compress(make_gzip_compressor(level, workers, out), out, text, 4096 * workers + 1) == expected);
  }
}

TEST_CASE("both deflaters give one gzip member that zlib and ISA-L inflate", "[layerstore][codec]") {
  const auto make = GENERATE(make_isal_deflater, make_zlib_deflater);
  const int level = GENERATE(1, 2, 3);
  const bool is_random = GENERATE(false, true);
  std::string text = sample(3 * 1024 * 1024 + 5);
  if (is_random) {  // grows when it is deflated
    std::mt19937 random(7);
    for (char& c : text) c = static_cast<char>(random());
  }
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{1024 * 1024}, text.size()}) {
    REQUIRE(make(level));
    StringSink out;
    const std::string packed = compress(make_gzip_compressor([&] { return make(level); }, 2, out), out,
                                        std::string_view(text).substr(0, size));
    for (const auto inflater : {make_isal_inflater, make_zlib_inflater}) {
      StringSource in(packed);
      const auto source = make_gzip_decompressor(inflater(), in);
      StringSink plain;
      pump(*source, plain);
      CHECK(plain.text() == text.substr(0, size));
    }
  }
}

TEST_CASE("a gzip header holds no time and no operating system", "[layerstore][codec]") {
  CHECK(compress(Compression::gzip, "x").substr(0, 10) == std::string("\x1f\x8b\x08\0\0\0\0\0\0\xff", 10));
}

TEST_CASE("members and frames that follow one another are one stream", "[layerstore][codec]") {
  const auto compression = GENERATE(Compression::gzip, Compression::zstd);
  const std::string text = sample(300000);
  CHECK(decompress(compression, compress(compression, text) + compress(compression, "end")) == text + "end");
}

TEST_CASE("skippable zstd frames are passed over", "[layerstore][codec]") {
  const std::string skippable("\x50\x2a\x4d\x18\x04\0\0\0abcd", 12);
  const std::string frame = compress(Compression::zstd, "x");
  CHECK(decompress(Compression::zstd, skippable + frame + skippable) == "x");
}

TEST_CASE("a stream cut anywhere is corrupt", "[layerstore][codec]") {
  const auto compression = GENERATE(Compression::gzip, Compression::zstd);
  const std::string whole = compress(compression, sample(5000));
  for (std::size_t length = 0; length < whole.size(); length += 1 + length / 50)
    CHECK(failure_of(compression, std::string_view(whole).substr(0, length)) == Errc::corrupt);
}

TEST_CASE("bytes after the end are corrupt", "[layerstore][codec]") {
  const auto compression = GENERATE(Compression::gzip, Compression::zstd);
  const auto* garbage = GENERATE("x", "garbage that is long enough to hold a header");
  CHECK(failure_of(compression, compress(compression, "text") + garbage) == Errc::corrupt);
}

TEST_CASE("a changed byte is corrupt", "[layerstore][codec]") {
  const auto compression = GENERATE(Compression::gzip, Compression::zstd);
  std::string whole = compress(compression, sample(5000));
  whole[whole.size() / 2] = static_cast<char>(whole[whole.size() / 2] ^ 0x10);
  CHECK(failure_of(compression, whole) == Errc::corrupt);
}

TEST_CASE("a zstd window above 128 MiB is refused before memory is taken for it", "[layerstore][codec]") {
  // Magic, descriptor without flags, window descriptor: exponent 18 makes 2^(10+18) = 256 MiB (RFC
  // 8878, 3.1.1.1.2).
  const std::string header("\x28\xb5\x2f\xfd\x00\x90\x01\x00\x00", 9);
  CHECK(failure_of(Compression::zstd, header) == Errc::unsupported);
}

TEST_CASE("a compression is recognised by its first four bytes", "[layerstore][codec]") {
  const auto detect = [](std::string_view start) { return detect_compression(bytes_of(start)); };
  CHECK(detect(compress(Compression::gzip, "x").substr(0, 4)) == Compression::gzip);
  CHECK(detect(compress(Compression::zstd, "x").substr(0, 4)) == Compression::zstd);
  CHECK(detect("\x5f\x2a\x4d\x18") == Compression::zstd);
  CHECK(detect("etc/") == Compression::none);
  CHECK(detect("") == Compression::none);
  CHECK_THROWS_WITH(detect("\xfd"
                           "7zX"),
                    Catch::Contains("xz"));
  CHECK_THROWS_WITH(detect("BZh9"), Catch::Contains("bzip2"));
}

TEST_CASE("a tar whose first name looks like a magic number is a tar", "[layerstore][codec]") {
  std::string header = "BZh9.txt" + std::string(504, '\0');
  header.replace(257, 5, "ustar");
  header.replace(148, 8, 8, ' ');
  const unsigned sum = std::accumulate(header.begin(), header.end(), 0U);
  header.replace(148, 7, fmt::format("{:06o}", sum) + '\0');
  CHECK(detect_compression(bytes_of(header)) == Compression::none);
}

TEST_CASE("a compressed tar in which a tar's mark stands where a tar has it is a compressed one",
          "[layerstore][codec]") {
  std::string start = "\x28\xb5\x2f\xfd" + std::string(508, 'x');
  start.replace(257, 5, "ustar");
  CHECK(detect_compression(bytes_of(start)) == Compression::zstd);
  start.replace(0, 2, "\x1f\x8b");
  CHECK(detect_compression(bytes_of(start)) == Compression::gzip);
}

TEST_CASE("compressions are named as users write them", "[layerstore][codec]") {
  CHECK(parse_compression("zstd") == Compression::zstd);
  CHECK(parse_compression("gzip") == Compression::gzip);
  CHECK(parse_compression("none") == Compression::none);
  CHECK_THROWS_WITH(parse_compression("lzma"), Catch::Contains("'lzma' is not known"));
}

TEST_CASE("a level the compression does not have is invalid", "[layerstore][codec]") {
  CHECK_THROWS_WITH(compress(Compression::gzip, "x", 10), Catch::Contains("level 10"));
  CHECK_THROWS_WITH(compress(Compression::zstd, "x", 23), Catch::Contains("level 23"));
  CHECK_THROWS_WITH(compress(Compression::zstd, "x", -1), Catch::Contains("level -1"));
}

}  // namespace lay::layerstore
