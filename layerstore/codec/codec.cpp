#include "layerstore/codec.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <thread>

#include "base/error.h"
#include "base/text.h"
#include "codec/codec_gzip.h"
#include "codec/codec_zstd.h"
#include "tar/tar_fields.h"

namespace lay::layerstore {

namespace {

/// More cores than this gain nothing: hashing and reading are serial. It bounds the memory too.
constexpr unsigned kMaxWorkers = 8;

class PlainSink final : public ByteSink {
 public:
  explicit PlainSink(ByteSink& out) : out_(out) {}
  void write(std::span<const std::byte> bytes) override { out_.write(bytes); }
  void finish() override { out_.finish(); }

 private:
  ByteSink& out_;
};

class PlainSource final : public ByteSource {
 public:
  explicit PlainSource(ByteSource& in) : in_(in) {}
  std::size_t read(std::span<std::byte> out) override { return in_.read(out); }

 private:
  ByteSource& in_;
};

template <std::size_t Size>
bool starts_with(std::span<const std::byte> start, const std::array<std::uint8_t, Size>& magic) {
  return start.size() >= Size && std::equal(magic.begin(), magic.end(), start.begin(),
                                            [](std::uint8_t a, std::byte b) { return std::byte{a} == b; });
}

/// A tar may begin with a name that looks like a magic number; its own mark stands at byte 257. There it may
/// stand in a compressed one too, of whose headers it is a part: the checksum tells them apart.
bool is_tar(std::span<const std::byte> start) {
  constexpr std::string_view kUstar = "ustar";
  TarBlock block{};
  if (start.size() < sizeof block) return false;
  std::memcpy(&block, start.data(), sizeof block);
  return std::string_view(block.magic.data(), kUstar.size()) == kUstar && has_good_checksum(block);
}

}  // namespace

Compression parse_compression(std::string_view name) {
  for (const Compression compression : {Compression::none, Compression::gzip, Compression::zstd})
    if (name == to_string(compression)) return compression;
  throw Error::make(Errc::invalid, "compression '{}' is not known", printable(name))
      .with_hint("gzip, zstd and none are");
}

std::string_view to_string(Compression compression) {
  switch (compression) {
    case Compression::none:
      return "none";
    case Compression::gzip:
      return "gzip";
    case Compression::zstd:
      return "zstd";
  }
  return "none";
}

Compression detect_compression(std::span<const std::byte> start) {
  constexpr std::array<std::uint8_t, 2> kGzip{0x1f, 0x8b};
  constexpr std::array<std::uint8_t, 4> kZstd{0x28, 0xb5, 0x2f, 0xfd};
  constexpr std::array<std::uint8_t, 3> kSkippable{0x2a, 0x4d, 0x18};  // after one byte 0x50 to 0x5f
  constexpr std::array<std::uint8_t, 4> kXz{0xfd, '7', 'z', 'X'};
  constexpr std::array<std::uint8_t, 3> kBzip2{'B', 'Z', 'h'};
  if (is_tar(start)) return Compression::none;
  if (starts_with(start, kGzip)) return Compression::gzip;
  if (starts_with(start, kZstd)) return Compression::zstd;
  if (start.size() >= 4 && (start[0] & std::byte{0xf0}) == std::byte{0x50} &&
      starts_with(start.subspan(1), kSkippable))
    return Compression::zstd;
  if (starts_with(start, kXz))
    throw Error(Errc::unsupported, "compression xz is not supported")
        .with_hint("unpack it with 'xz -d' first");
  if (starts_with(start, kBzip2))
    throw Error(Errc::unsupported, "compression bzip2 is not supported")
        .with_hint("unpack it with 'bzip2 -d' first");
  return Compression::none;
}

unsigned compression_workers() {
  return std::clamp(std::thread::hardware_concurrency(), 1U, kMaxWorkers);
}

std::unique_ptr<ByteSink> make_compressor(const CompressOptions& options, ByteSink& out) {
  switch (options.compression) {
    case Compression::none:
      break;
    case Compression::gzip:
      return make_gzip_compressor(options.level, compression_workers(), out);
    case Compression::zstd:
      return make_zstd_compressor(options.level, compression_workers(), out);
  }
  return std::make_unique<PlainSink>(out);
}

std::unique_ptr<ByteSource> make_decompressor(Compression compression, ByteSource& in) {
  switch (compression) {
    case Compression::none:
      break;
    case Compression::gzip:
      return make_gzip_decompressor(in);
    case Compression::zstd:
      return make_zstd_decompressor(in);
  }
  return std::make_unique<PlainSource>(in);
}

}  // namespace lay::layerstore
