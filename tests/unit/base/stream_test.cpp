#include "base/stream.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "base/pipeline.h"

using namespace lay;

namespace {

class FailingSink final : public ByteSink {
 public:
  void write(std::span<const std::byte>) override { throw Error(Errc::no_space, "disk full"); }
};

}  // namespace

TEST_CASE("every byte that goes into an asynchronous sink comes out in order", "[base][stream]") {
  std::string text(5'000'000, '\0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 31 + i / 251);
  StringSink target;
  AsyncSink sink([&](ByteSource& bytes) { pump(bytes, target); });
  StringSource source(text);
  CHECK(pump(source, sink) == text.size());
  sink.finish();
  CHECK(target.text() == text);
}

TEST_CASE("what the thread of an asynchronous sink throws is thrown by finish", "[base][stream]") {
  FailingSink target;
  AsyncSink sink([&](ByteSource& bytes) { pump(bytes, target); });
  const std::string block(100'000, 'x');
  const auto write_all = [&] {
    for (int i = 0; i < 1000; ++i) sink.write(std::as_bytes(std::span(block)));
    sink.finish();
  };
  CHECK_THROWS_WITH(write_all(), "disk full");
}

TEST_CASE("an asynchronous sink that is given up does not wait for more", "[base][stream]") {
  StringSink target;
  {
    AsyncSink sink([&](ByteSource& bytes) { pump(bytes, target); });
  }
  CHECK(target.text().empty());
}

TEST_CASE("a pipeline ends with the first failure of either side", "[base][stream]") {
  const auto endless = [](ByteSink& out) {
    const std::string block(70'000, 'x');
    for (;;) out.write(std::as_bytes(std::span(block)));
  };
  CHECK_THROWS_WITH(run_pipeline(endless, [](ByteSource&) { throw Error(Errc::corrupt, "reader failed"); }),
                    "reader failed");
  const auto drain = [](ByteSource& in) {
    StringSink sink;
    pump(in, sink);
  };
  CHECK_THROWS_WITH(run_pipeline([](ByteSink&) { throw Error(Errc::io, "writer failed"); }, drain),
                    "writer failed");
}
