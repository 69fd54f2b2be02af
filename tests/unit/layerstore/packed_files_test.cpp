#include "chunked/packed_files.h"

#include <catch2/catch.hpp>
#include <string>

#include "chunked/fetched_runs.h"
#include "codec/codec_zstd.h"
#include "error_of.h"

namespace lay::layerstore {

namespace {

constexpr std::uint64_t kEnd = 1000;

std::string packed(std::string_view text) {
  StringSink out;
  const auto compressor = make_zstd_compressor(1, 0, out);
  compressor->write(std::as_bytes(std::span(text)));
  compressor->finish();
  return out.text();
}

std::string digest(const std::string& of) {
  return digest_of(of).to_string();
}

PackedFiles read(const std::string& entries) {
  const std::string table = packed(R"({"version":1,"entries":[)" + entries + "]}");
  StringSource source(table);
  return {source, kEnd, {}};
}

std::string file(const std::string& name, unsigned size, unsigned offset, unsigned end,
                 const std::string& more = "") {
  return R"({"type":"reg","name":")" + name + R"(","size":)" + std::to_string(size) + R"(,"digest":")" +
         digest(name) + R"(","offset":)" + std::to_string(offset) + R"(,"endOffset":)" + std::to_string(end) +
         more + "}";
}

std::string chunk(unsigned at, unsigned size, unsigned offset, const std::string& digest_text) {
  return R"({"type":"chunk","name":"x","chunkOffset":)" + std::to_string(at) + R"(,"chunkSize":)" +
         std::to_string(size) + R"(,"offset":)" + std::to_string(offset) + R"(,"chunkDigest":")" +
         digest_text + R"("})";
}

/// Serves parts of a blob in memory.
class BlobSource final : public PartSource {
 public:
  explicit BlobSource(std::string blob) : blob_(std::move(blob)) {}
  void fetch(const BlobPart& part, ByteSink& out) override {
    ++requests;
    out.write(std::as_bytes(std::span(blob_)).subspan(part.offset, part.size));
  }
  void expect(std::vector<BlobPart>) override {}
  int requests = 0;

 private:
  std::string blob_;
};

}  // namespace

TEST_CASE("a table tells of each file's data where they are, and of chunks how large",
          "[layerstore][chunked]") {
  const PackedFiles files = read(
      file("./a//one", 10, 5, 50) + R"(,{"type":"dir","name":"b"},)" +
      file("b/two", 300, 60, 200, R"(,"chunkSize":100,"chunkDigest":")" + digest("c") + '"') + "," +
      chunk(100, 150, 90, digest("d")) + "," +
      R"({"type":"chunk","name":"x","chunkOffset":250,"chunkSize":50,"offset":110,"chunkType":"zeros"})" +
      R"(,{"type":"reg","name":"empty"})");
  REQUIRE(files.size() == 2);
  CHECK(files.file(0).path == "a/one");
  CHECK(files.chunk(0).digest == sha256_of(digest_of("./a//one")));
  CHECK(files.chunk(0).end() == 50);
  CHECK(files.file(1).count == 3);
  CHECK(files.chunk(1).size == 100);
  CHECK(files.chunk(1).packed_size == 30);
  CHECK(files.chunk(2).digest == sha256_of(digest_of("d")));
  CHECK(files.chunk(2).packed_size == 20);
  CHECK(files.chunk(3).is_zeros);
  CHECK(files.chunk(3).end() == 200);
}

TEST_CASE("a table that contradicts itself is refused", "[layerstore][chunked]") {
  for (const std::string& entries :
       {file("a", 10, 50, 50), file("a", 10, 50, kEnd + 1),
        file("a", 10, 50, 100) + "," + file("b", 10, 99, 200), file("a", 10, 5, 50, R"(,"chunkSize":9)"),
        file("a", 10, 5, 50, R"(,"chunkSize":11)"), chunk(0, 10, 5, digest("c")),
        file("a", 10, 5, 50, R"(,"chunkSize":5)") + "," + chunk(4, 6, 20, digest("c")),
        file("a", 10, 5, 50, R"(,"chunkSize":5)") + "," + chunk(5, 5, 5, digest("c")),
        file("a", 10, 5, 50, R"(,"chunkSize":5)") + "," + chunk(5, 5, 50, digest("c")),
        file("a", 10, 5, 50, R"(,"chunkSize":5)") + "," + chunk(5, 5, 20, "none"),
        std::string(R"({"type":"reg","name":"a","size":10})")}) {
    CAPTURE(entries);
    CHECK_THROWS_AS(read(entries), Error);
  }
}

TEST_CASE("needed parts of a blob that lie close together are fetched together", "[layerstore][partial]") {
  RunPlan plan;
  plan.add({.offset = 0, .size = 1000});
  plan.add({.offset = 2000, .size = 1000});
  plan.add({.offset = 6000, .size = 1000});
  plan.add({.offset = 7000, .size = 2 * kInMemory});
  CHECK(plan.runs() == std::vector<BlobPart>{{0, 3000}, {6000, 1000}, {7000, 2 * kInMemory}});
  CHECK(plan.size() == 4000 + 2 * kInMemory);
}

TEST_CASE("frames that unpack to more or less than was said are refused", "[layerstore][partial]") {
  const std::string small = packed("some data");
  const std::string large = packed(std::string(3'000'000, 'x'));
  const std::string blob = small + "between" + large;
  const BlobPart first{.offset = 0, .size = small.size()};
  const BlobPart second{.offset = small.size() + 7, .size = large.size()};
  RunPlan plan;
  plan.add(first);
  plan.add(second);
  const auto unpack = [&](std::uint64_t first_size, std::uint64_t second_size) {
    BlobSource source(blob);
    FetchedRuns fetched(source, plan.runs());
    StringSink out;
    fetched.unpack(first, first_size, out);
    fetched.unpack(second, second_size, out);
    CHECK(source.requests == 1);
    return out.text();
  };
  CHECK(unpack(9, 3'000'000) == "some data" + std::string(3'000'000, 'x'));
  for (const auto& [one, two] :
       {std::pair{8, 3'000'000}, {10, 3'000'000}, {9, 2'999'999}, {9, 3'000'001}, {9, 100}})
    CHECK_THROWS_AS(unpack(static_cast<std::uint64_t>(one), static_cast<std::uint64_t>(two)), Error);
}

}  // namespace lay::layerstore
