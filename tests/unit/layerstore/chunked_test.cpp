#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <string>

#include "base/base64.h"
#include "base/json.h"
#include "base/text.h"
#include "chunked/chunked_table.h"
#include "chunked/chunked_writer.h"
#include "codec/crc64.h"
#include "layerstore/codec.h"
#include "layerstore/digest.h"
#include "spill_all.h"
#include "tar_builder.h"

namespace lay::layerstore {

namespace {

using namespace test;

constexpr const char* kPrefix = "io.github.containers.zstd-chunked.";

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

/// Words from a small vocabulary: compressible, but not trivially, and the same on every run.
std::string sample(std::size_t size) {
  std::mt19937 random(7);
  std::string text;
  while (text.size() < size) text += "word" + std::to_string(random() % 5000) + " ";
  text.resize(size);
  return text;
}

/// Gives out at most `piece` bytes at once.
class CutSource final : public ByteSource {
 public:
  CutSource(std::string_view text, std::size_t piece) : inner_(text), piece_(piece) {}
  std::size_t read(std::span<std::byte> out) override {
    return inner_.read(out.first(std::min(out.size(), piece_)));
  }

 private:
  StringSource inner_;
  std::size_t piece_;
};

struct Chunked {
  std::string blob;
  std::map<std::string, std::string> annotations;
};

Chunked chunked(std::string_view tar, unsigned workers = 2, std::size_t piece = 100000,
                const Spill& spill = {}) {
  CutSource source(tar, piece);
  StringSink out;
  CompressedLayer layer = write_chunked(source, 0, workers, out, spill);
  CHECK(layer.diff_id == digest_of(tar));
  return {out.text(), std::move(layer.annotations)};
}

std::string unpacked(std::string_view frames) {
  StringSource in(frames);
  const auto source = make_decompressor(Compression::zstd, in);
  StringSink out;
  pump(*source, out);
  return out.text();
}

/// The numbers of "1:2:3" in an annotation.
std::vector<std::size_t> position(const Chunked& blob, const std::string& key) {
  std::vector<std::size_t> numbers;
  for (const std::string& part : split(blob.annotations.at(kPrefix + key), ':'))
    numbers.push_back(std::stoul(part));
  return numbers;
}

Json table_of(const Chunked& blob) {
  const auto at = position(blob, "manifest-position");
  REQUIRE(at.size() == 4);
  CHECK(at[3] == 1);
  const std::string packed = blob.blob.substr(at[0], at[1]);
  CHECK(digest_of(packed).to_string() == blob.annotations.at(std::string(kPrefix) + "manifest-checksum"));
  const std::string text = unpacked(packed);
  CHECK(text.size() == at[2]);
  return Json::parse(text);
}

/// The tar as tar-split tells it: its segments, and between them the files' data.
std::string joined_from_split(const Chunked& blob, const std::map<std::string, std::string>& files) {
  const auto at = position(blob, "tarsplit-position");
  REQUIRE(at.size() == 3);
  const std::string packed = blob.blob.substr(at[0], at[1]);
  CHECK(digest_of(packed).to_string() == table_of(blob).at("tarSplitDigest"));
  const std::string text = unpacked(packed);
  CHECK(text.size() == at[2]);
  std::string tar;
  std::size_t expected_position = 0;
  for (const std::string& line : split(text, '\n')) {
    if (line.empty()) continue;
    const Json json = Json::parse(line);
    CHECK(json.at("position") == expected_position++);
    if (json.at("type") == 2) {
      tar += base64_decode(json.at("payload").get<std::string>()).value();
    } else if (json.contains("size")) {
      const std::string& data = files.at(json.at("name"));
      CHECK(json.at("size") == data.size());
      std::uint64_t crc = crc64_iso_by_table(0, bytes_of(data));
      std::string sum(8, '\0');
      for (std::size_t i = 8; i-- > 0; crc >>= 8U) sum[i] = static_cast<char>(crc);
      CHECK(json.at("payload") == base64_encode(sum));
      tar += data;
    }
  }
  return tar;
}

std::string tar_of(const std::string& members) {
  return members + tar_end_mark();
}

std::string usual_tar(const std::map<std::string, std::string>& files) {
  std::string members = tar_folder("./") + tar_folder("etc/") + tar_symlink("etc/link", "../x");
  for (const auto& [name, data] : files) members += tar_file(name, data);
  return tar_of(members);
}

}  // namespace

TEST_CASE("the checksum of tar-split is CRC-64/GO-ISO, with and without ISA-L", "[layerstore][chunked]") {
  CHECK(crc64_iso(0, bytes_of("123456789")) == 0xb90956c775a41001);
  CHECK(crc64_iso_by_table(0, bytes_of("123456789")) == 0xb90956c775a41001);
  const std::string text = sample(100003);
  CHECK(crc64_iso(crc64_iso(0, bytes_of(text.substr(0, 777))), bytes_of(text.substr(777))) ==
        crc64_iso_by_table(0, bytes_of(text)));
}

TEST_CASE("a chunked blob is the tar to whoever reads zstd", "[layerstore][chunked]") {
  const std::string tar =
      usual_tar({{"a", "x"}, {"big", sample(3 * 1024 * 1024 + 5)}, {"empty", ""}, {"z", sample(5000)}});
  CHECK(unpacked(chunked(tar).blob) == tar);
}

TEST_CASE("each file of a chunked blob can be had alone, by its place in the table",
          "[layerstore][chunked]") {
  const std::map<std::string, std::string> files{
      {"a", "x"}, {"big", sample(3 * 1024 * 1024 + 5)}, {"z", sample(5000)}};
  const Chunked blob = chunked(usual_tar(files));
  const Json table = table_of(blob);
  CHECK(table.at("version") == 1);
  std::map<std::string, std::string> found;
  for (const Json& entry : table.at("entries")) {
    if (entry.at("type") != "reg") continue;
    const std::size_t begin = entry.at("offset");
    const std::size_t end = entry.at("endOffset");
    const std::string data = unpacked(std::string_view(blob.blob).substr(begin, end - begin));
    CHECK(entry.at("digest") == digest_of(data).to_string());
    CHECK(entry.at("size") == data.size());
    found[entry.at("name")] = data;
  }
  CHECK(found == files);
}

TEST_CASE("a large file is several chunks, each with its digest", "[layerstore][chunked]") {
  const std::string data = sample(2 * 1024 * 1024 + 5);
  const Chunked blob = chunked(tar_of(tar_file("big", data)));
  const Json entries = table_of(blob).at("entries");
  REQUIRE(entries.size() == 3);
  std::size_t at = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const Json& chunk = entries[i];
    CHECK(chunk.at("type") == (i == 0 ? "reg" : "chunk"));
    CHECK(chunk.at("name") == "big");
    CHECK(chunk.value("chunkOffset", 0U) == at);
    const std::size_t begin = chunk.at("offset");
    const std::size_t end = i + 1 < entries.size() ? entries[i + 1].at("offset").get<std::size_t>()
                                                   : entries[0].at("endOffset").get<std::size_t>();
    const std::string piece = unpacked(std::string_view(blob.blob).substr(begin, end - begin));
    CHECK(piece == data.substr(at, chunk.at("chunkSize")));
    CHECK(chunk.at("chunkDigest") == digest_of(piece).to_string());
    at += piece.size();
  }
  CHECK(at == data.size());
}

TEST_CASE("the tar-split and the files make the exact tar again", "[layerstore][chunked]") {
  const std::map<std::string, std::string> files{
      {"a", "x"}, {"big", sample(3 * 1024 * 1024 + 5)}, {"empty", ""}, {"z", sample(5000)}};
  const std::string tar = usual_tar(files);
  CHECK(joined_from_split(chunked(tar), files) == tar);
}

TEST_CASE("the footer says where the table and the tar-split are", "[layerstore][chunked]") {
  const Chunked blob = chunked(tar_of(tar_file("a")));
  const std::string footer = blob.blob.substr(blob.blob.size() - 64);
  CHECK(footer.substr(56) == "GNUlInUx");
  std::vector<std::size_t> numbers;
  for (std::size_t i = 0; i < 7; ++i) {
    std::uint64_t value = 0;
    for (std::size_t k = 8; k-- > 0;) value = value << 8U | static_cast<unsigned char>(footer[8 * i + k]);
    numbers.push_back(value);
  }
  auto expected = position(blob, "manifest-position");
  for (const std::size_t value : position(blob, "tarsplit-position")) expected.push_back(value);
  CHECK(numbers == expected);
}

TEST_CASE("chunked bytes do not depend on the count of workers or the size of the pieces",
          "[layerstore][chunked]") {
  std::map<std::string, std::string> files{{"big", sample(3 * 1024 * 1024 + 5)}};
  for (std::size_t i = 0; i < 300; ++i) files["f" + std::to_string(i)] = sample(i * 97);
  const std::string tar = usual_tar(files);
  const Chunked expected = chunked(tar, 1);
  CHECK(!expected.annotations.empty());
  for (const unsigned workers : {2U, 3U, 8U}) {
    const Chunked other = chunked(tar, workers, 4096 * workers + 1);
    CHECK(other.blob == expected.blob);
    CHECK(other.annotations == expected.annotations);
  }
}

TEST_CASE("what others would read differently gets no table, and is plain zstd", "[layerstore][chunked]") {
  const auto make = GENERATE(
      +[] { return tar_of(tar_file("a") + tar_file("./a")); }, +[] { return tar_of(tar_file("name\xff")); },
      +[] { return tar_of(tar_symlink("a", "\xff")); },
      +[] { return tar_of(tar_pax(pax_record("atime", "5")) + tar_file("a")); },
      +[] { return tar_of(tar_pax(pax_record("LIBARCHIVE.creationtime", "5")) + tar_file("a")); },
      +[] { return tar_of(tar_file("a")) + "not zeros"; },
      +[] { return tar_of(tar_file("a")) + std::string(9 * 1024 * 1024, '\0'); });
  const std::string tar = make();
  const Chunked blob = chunked(tar);
  CHECK(blob.annotations.empty());
  CHECK(unpacked(blob.blob) == tar);
}

namespace {

/// A descriptor whose annotations put a table of 1000 bytes and a tar-split (none when `split` is 0) there.
Descriptor placed(std::uint64_t table, std::uint64_t split, std::uint64_t blob_size) {
  Descriptor blob{.digest = digest_of(""), .size = blob_size};
  const std::string prefix = kPrefix;
  blob.annotations[prefix + "manifest-checksum"] = digest_of("table").to_string();
  blob.annotations[prefix + "manifest-position"] = std::to_string(table) + ":1000:5000:1";
  if (split > 0) blob.annotations[prefix + "tarsplit-position"] = std::to_string(split) + ":1000:5000";
  return blob;
}

}  // namespace

TEST_CASE("a table of which nothing stays in memory is the same", "[layerstore][chunked]") {
  std::string members;
  for (int i = 0; i < 70'000; ++i) members += tar_file(std::to_string(i), i % 10 == 0 ? "text" : "");
  const std::string tar = tar_of(members);
  const Chunked kept = chunked(tar);
  const Chunked spilled = chunked(tar, 2, 100000, spill_all());
  CHECK_FALSE(kept.annotations.empty());
  CHECK(spilled.annotations == kept.annotations);
  CHECK((spilled.blob == kept.blob));
}

TEST_CASE("a name that comes again after many others is seen", "[layerstore][chunked]") {
  std::string members;
  for (int i = 0; i < 140'000; ++i) members += tar_file(std::to_string(i), "");
  CHECK(chunked(tar_of(members + tar_file("./5"))).annotations.empty());
}

TEST_CASE("table, tar-split and the end of a chunked blob lie close together, or it is read as plain zstd",
          "[layerstore][chunked]") {
  constexpr std::uint64_t kGigabyte = 1'000'000'000;
  constexpr std::uint64_t kFooter = 72;
  CHECK(find_chunked_places(placed(kGigabyte, kGigabyte + 1008, kGigabyte + 2008 + kFooter)));
  CHECK(find_chunked_places(placed(kGigabyte, 0, kGigabyte + 1000 + kFooter)));
  // Whoever believed these would hold a gigabyte in memory.
  CHECK_FALSE(find_chunked_places(placed(8, kGigabyte, kGigabyte + 1000 + kFooter)));
  CHECK_FALSE(find_chunked_places(placed(8, 1016, kGigabyte)));
  CHECK_FALSE(find_chunked_places(placed(8, 0, kGigabyte)));
  Descriptor blob = placed(8, 0, kGigabyte);
  blob.annotations[std::string(kPrefix) + "manifest-position"] = "8:999999900:999999900:1";
  CHECK_FALSE(find_chunked_places(blob));
}

}  // namespace lay::layerstore
