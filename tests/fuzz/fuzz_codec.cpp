#include <array>
#include <span>
#include <string_view>

#include "base/error.h"
#include "base/stream.h"
#include "codec_gzip.h"
#include "fuzz_target.h"
#include "layerstore/codec.h"

namespace {

constexpr std::uint64_t kEnough = 64 * 1024 * 1024;  // a bomb would only cost time

/// Reads in pieces of a length that the input decides, so that output is cut at odd places.
void drain(lay::ByteSource& source, std::size_t piece) {
  std::array<std::byte, 4096> buffer;
  std::uint64_t total = 0;
  while (const std::size_t count = source.read(std::span(buffer).first(piece))) {
    total += count;
    if (total > kEnough) return;
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    lay::StringSource in(text);
    const auto compression = lay::layerstore::detect_compression(std::as_bytes(std::span(data, size)));
    const std::size_t piece = size % 2 == 0 ? 4096 : 7;
    if (compression == lay::layerstore::Compression::gzip)  // where a crash is seen
      drain(*lay::layerstore::make_gzip_decompressor(lay::layerstore::make_unguarded_isal_inflater(), in),
            piece);
    else
      drain(*lay::layerstore::make_decompressor(compression, in), piece);
  } catch (const lay::Error&) {
  }
  return 0;
}
