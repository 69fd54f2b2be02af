#include "base/stream.h"

#include <array>
#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/pipeline.h"

using namespace lay;

namespace {

class FailingSink final : public ByteSink {
 public:
  void write(std::span<const std::byte>) override { throw Error(Errc::no_space, "disk full"); }
};

}  // namespace

TEST_CASE("every reader of a pipeline gets every byte in order", "[base][stream]") {
  std::string text(9'000'001, '\0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 31 + i / 251);
  StringSink first;
  StringSink second;
  const auto produce = [&](ByteSink& out) {
    StringSource source(text);
    pump(source, out);
  };
  const std::vector<std::function<void(ByteSource&)>> consumers{
      [&](ByteSource& in) { pump(in, first); },
      [&](ByteSource& in) {
        std::array<std::byte, 777> small;
        while (const std::size_t count = in.read(small)) second.write(std::span(small).first(count));
      }};
  run_pipeline(produce, consumers);
  CHECK(first.text() == text);
  CHECK(second.text() == text);
}

TEST_CASE("what is put into a pipe's room is not copied", "[base][stream]") {
  BytePipe pipe;
  std::array<std::byte, 16> scratch{};
  const auto room = pipe.room(scratch);
  CHECK(room.size() > scratch.size());
  room[0] = std::byte{7};
  pipe.write(room.first(1));
  CHECK(pipe.room(scratch).data() == room.data() + 1);
  pipe.finish();
  const auto got = pipe.reader(0).borrow(scratch);
  CHECK(got.size() == 1);
  CHECK(got.data() == room.data());
  CHECK(pipe.reader(0).borrow(scratch).empty());
}

TEST_CASE("a pipe of any number of blocks gives everything to readers of different pace", "[base][stream]") {
  const std::size_t blocks = GENERATE(as<std::size_t>{}, 1, 2, 3, 8);
  BytePipe pipe(2, blocks, 64);
  std::string sent;
  for (int i = 0; i < 5000; ++i) sent += std::to_string(i);
  StringSink slow;
  StringSink fast;
  std::jthread writing([&] {
    StringSource source(sent);
    pump(source, pipe);
    pipe.finish();
  });
  std::jthread reading([&] { pump(pipe.reader(0), fast); });
  std::array<std::byte, 3> few{};
  for (auto got = pipe.reader(1).borrow(few); !got.empty(); got = pipe.reader(1).borrow(few)) slow.write(got);
  reading.join();
  CHECK((slow.text() == sent));
  CHECK((fast.text() == sent));
}

TEST_CASE("nobody waits for a reader that wants no more", "[base][stream]") {
  const std::string block(100'000, 'x');
  const auto produce = [&](ByteSink& out) {
    for (int i = 0; i < 1000; ++i) out.write(std::as_bytes(std::span(block)));
  };
  StringSink all;
  const std::vector<std::function<void(ByteSource&)>> consumers{[](ByteSource&) {},
                                                                [&](ByteSource& in) { pump(in, all); }};
  run_pipeline(produce, consumers);
  CHECK(all.text().size() == 100'000'000);
}

TEST_CASE("a failure of one reader ends the pipeline for all", "[base][stream]") {
  const auto endless = [](ByteSink& out) {
    const std::string block(70'000, 'x');
    for (;;) out.write(std::as_bytes(std::span(block)));
  };
  FailingSink target;
  const std::vector<std::function<void(ByteSource&)>> consumers{[&](ByteSource& in) { pump(in, target); },
                                                                [](ByteSource& in) {
                                                                  std::array<std::byte, 4096> piece;
                                                                  while (in.read(piece) != 0) {
                                                                  }
                                                                }};
  CHECK_THROWS_WITH(run_pipeline(endless, consumers), "disk full");
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
