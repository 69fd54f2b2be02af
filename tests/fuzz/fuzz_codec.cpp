#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/stream.h"
#include "codec/codec_gzip.h"
#include "codec/inflate.h"
#include "fuzz_target.h"
#include "layerstore/codec.h"

namespace {

constexpr std::uint64_t kEnough = 64 * 1024 * 1024;  // a bomb would only cost time

/// What came out, and whether the input was good to its end.
struct Outcome {
  std::string text;
  bool is_good = false;

  bool operator==(const Outcome&) const = default;
};

/// Reads in pieces of a length that the input decides, so that output is cut at odd places.
Outcome drain(lay::ByteSource& source, std::size_t piece) {
  Outcome outcome;
  std::array<std::byte, 4096> buffer;
  try {
    while (const std::size_t count = source.read(std::span(buffer).first(piece))) {
      outcome.text.append(reinterpret_cast<const char*>(buffer.data()), count);
      if (outcome.text.size() > kEnough) break;
    }
    outcome.is_good = true;
  } catch (const lay::Error&) {
  }
  return outcome;
}

Outcome gunzip(std::unique_ptr<lay::layerstore::Inflater> inflater, std::string_view text,
               std::size_t piece) {
  lay::StringSource in(text);
  return drain(*lay::layerstore::make_gzip_decompressor(std::move(inflater), in), piece);
}

/// ISA-L and zlib say the same of every input; of a bad one they may give up at different bytes.
void gunzip_twice(std::string_view text, std::size_t piece) {
  const Outcome isal =
      gunzip(lay::layerstore::make_unguarded_isal_inflater(), text, piece);  // where a crash is seen
  const Outcome zlib = gunzip(lay::layerstore::make_zlib_inflater(), text, piece);
  const std::size_t common = std::min(isal.text.size(), zlib.text.size());
  if (isal.is_good != zlib.is_good || isal.text.compare(0, common, zlib.text, 0, common) != 0 ||
      (isal.is_good && isal != zlib))
    std::abort();
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t piece = size % 2 == 0 ? 4096 : 7;
  const auto compression = lay::layerstore::detect_compression(std::as_bytes(std::span(data, size)));
  if (compression == lay::layerstore::Compression::gzip) {
    gunzip_twice(text, piece);
    return 0;
  }
  try {
    lay::StringSource in(text);
    drain(*lay::layerstore::make_decompressor(compression, in), piece);
  } catch (const lay::Error&) {
  }
  return 0;
}
