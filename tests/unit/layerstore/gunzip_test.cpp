#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <csignal>
#include <string>

#include "base/error.h"
#include "base/stream.h"
#include "codec/codec_gzip.h"
#include "codec/inflate_sandbox.h"

namespace lay::layerstore {

namespace {

using MakeInflater = std::unique_ptr<Inflater> (*)();

/// The deflate data of "hello\n" in a stored block, and the trailer.
const std::string kHello("\x01\x06\x00\xf9\xffhello\n\x20\x30\x3a\x36\x06\x00\x00\x00", 19);

std::string header(char flags, const std::string& fields = {}) {
  return std::string("\x1f\x8b\x08", 3) + flags + std::string(6, '\0') + fields;
}

std::string gunzip(MakeInflater make, std::string_view text, std::size_t piece = 4096) {
  StringSource in(text);
  const auto source = make_gzip_decompressor(make(), in);
  std::string result;
  std::vector<std::byte> buffer(piece);
  while (const std::size_t count = source->read(buffer))
    result.append(reinterpret_cast<const char*>(buffer.data()), count);
  return result;
}

bool is_corrupt(MakeInflater make, std::string_view text) {
  try {
    gunzip(make, text);
  } catch (const Error& error) {
    return error.code() == Errc::corrupt;
  }
  return false;
}

std::string gzip(std::string_view text) {
  StringSink out;
  const auto sink = make_gzip_compressor(0, 2, out);
  sink->write(std::as_bytes(std::span(text)));
  sink->finish();
  return out.text();
}

}  // namespace

TEST_CASE("both inflaters are there", "[layerstore][gunzip]") {
  CHECK(make_isal_inflater());
  CHECK(make_zlib_inflater());
}

TEST_CASE("every field that a gzip header may have is passed over", "[layerstore][gunzip]") {
  const MakeInflater make = GENERATE(make_isal_inflater, make_zlib_inflater);
  CHECK(gunzip(make, header(0) + kHello) == "hello\n");
  CHECK(gunzip(make, header(4, std::string("\x03\0abc", 5)) + kHello) == "hello\n");
  CHECK(gunzip(make, header(8, std::string("name\0", 5)) + kHello) == "hello\n");
  CHECK(gunzip(make, header(16, std::string("comment\0", 8)) + kHello) == "hello\n");
  CHECK(gunzip(make, header(28, std::string("\x01\0an\0c\0", 7)) + kHello) == "hello\n");
  CHECK(gunzip(make, header(2, "\x1d\x26") + kHello) == "hello\n");  // the header's checksum
}

TEST_CASE("a gzip header that says what nobody knows is corrupt", "[layerstore][gunzip]") {
  const MakeInflater make = GENERATE(make_isal_inflater, make_zlib_inflater);
  CHECK(is_corrupt(make, header('\x20') + kHello));
  CHECK(is_corrupt(make, header(2, "\x1d\x27") + kHello));
  CHECK(is_corrupt(make, std::string("\x1f\x8b\x07", 3) + std::string(7, '\0') + kHello));
  CHECK(is_corrupt(make, ""));
  CHECK(is_corrupt(make, header(8, "name without an end")));
}

TEST_CASE("either inflater checks the trailer", "[layerstore][gunzip]") {
  const MakeInflater make = GENERATE(make_isal_inflater, make_zlib_inflater);
  const std::size_t position = GENERATE(11U, 14U, 15U, 18U);
  std::string damaged = kHello;
  damaged[position] = static_cast<char>(damaged[position] + 1);
  CHECK(is_corrupt(make, header(0) + damaged));
}

namespace {

enum class Misdeed { none, crash, forbidden_call, endless, boast };

/// Does to its sandbox what hostile data could make an inflater do.
class Misbehaving final : public RawInflater {
 public:
  explicit Misbehaving(Misdeed misdeed) : misdeed_(misdeed) {}
  void begin_member() noexcept override {}
  RawStep step(std::span<const std::byte> in, std::span<std::byte>) noexcept override {
    switch (misdeed_) {
      case Misdeed::crash:
        ::raise(SIGSEGV);
        break;
      case Misdeed::forbidden_call:
        ::syscall(SYS_getpid);
        break;
      case Misdeed::endless:
        for (volatile bool forever = true; forever;) {
        }
        break;
      case Misdeed::boast:
        return {.consumed = in.size() + 1};
      case Misdeed::none:
        break;
    }
    return {.consumed = in.size(), .is_member_end = true};
  }

 private:
  const Misdeed misdeed_;
};

}  // namespace

TEST_CASE("whatever happens to an inflater is damage to the data and to nothing else",
          "[layerstore][gunzip]") {
  const auto misdeed =
      GENERATE(Misdeed::crash, Misdeed::forbidden_call, Misdeed::endless, Misdeed::boast, Misdeed::none);
  const auto inflater =
      make_sandboxed_inflater(std::make_unique<Misbehaving>(misdeed), std::chrono::milliseconds(300));
  inflater->begin_member();
  std::array<std::byte, 64> buffer{};
  const auto step = [&] { return inflater->step(buffer, buffer); };
  if (misdeed == Misdeed::none) {
    CHECK(step().consumed == buffer.size());
    CHECK(step().is_member_end);
  } else {
    CHECK_THROWS_WITH(step(), Catch::StartsWith("gzip data is damaged"));
  }
}

TEST_CASE("either inflater gives the whole, however output is cut, and sees every cut of the input",
          "[layerstore][gunzip]") {
  const MakeInflater make = GENERATE(make_isal_inflater, make_zlib_inflater);
  std::string text;
  for (int i = 0; i < 40000; ++i)
    text += std::to_string(i * i % 977) + (i % 7 == 0 ? "\n" : "aaaaaaaaaaaaaaaa");
  const std::string whole = gzip(text) + header(0) + kHello + gzip("");
  for (const std::size_t piece : {1U, 3U, 258U, 65536U, 4000000U})
    CHECK(gunzip(make, whole, piece) == text + "hello\n");
  const std::string one = gzip(text.substr(0, 9000));
  for (std::size_t length = 0; length < one.size(); length += 7)
    CHECK(is_corrupt(make, std::string_view(one).substr(0, length)));
}

}  // namespace lay::layerstore
