#include <zlib.h>

#include "base/error.h"
#include "codec/deflate.h"

namespace lay::layerstore {

namespace {

constexpr int kMemLevel = 8;        // zlib's default
constexpr int kRawDeflate = -15;    // window bits; negative: no zlib header
constexpr std::size_t kFlush = 16;  // a sync flush appends at most six bytes to what deflateBound() promises

/// zlib does not write to input, but its field is not const.
Bytef* input_of(std::span<const std::byte> bytes) {
  return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
}

class ZlibDeflater final : public Deflater {
 public:
  explicit ZlibDeflater(int level) {
    if (deflateInit2(&stream_, level, Z_DEFLATED, kRawDeflate, kMemLevel, Z_DEFAULT_STRATEGY) != Z_OK)
      throw Error(Errc::io, "compress with gzip: out of memory");
  }
  ZlibDeflater(const ZlibDeflater&) = delete;
  ZlibDeflater& operator=(const ZlibDeflater&) = delete;
  ~ZlibDeflater() override { deflateEnd(&stream_); }

  std::span<const std::byte> deflate(std::span<const std::byte> before, std::span<const std::byte> block,
                                     BlockKind kind) override {
    deflateReset(&stream_);
    if (!before.empty()) deflateSetDictionary(&stream_, input_of(before), static_cast<uInt>(before.size()));
    const std::size_t bound = deflateBound(&stream_, block.size()) + kFlush;
    if (output_.size() < bound) output_.resize(bound);
    stream_.next_in = input_of(block);
    stream_.avail_in = static_cast<uInt>(block.size());
    stream_.next_out = reinterpret_cast<Bytef*>(output_.data());
    stream_.avail_out = static_cast<uInt>(output_.size());
    const int status = ::deflate(&stream_, kind == BlockKind::last ? Z_FINISH : Z_SYNC_FLUSH);
    if (status != (kind == BlockKind::last ? Z_STREAM_END : Z_OK) || stream_.avail_out == 0)
      throw Error(Errc::io, "compress with gzip: a block did not fit");
    return std::span(output_).first(stream_.total_out);
  }

  std::uint32_t crc(std::span<const std::byte> block) const override {
    return static_cast<std::uint32_t>(crc32_z(0, input_of(block), block.size()));
  }

 private:
  z_stream stream_{};
  std::vector<std::byte> output_;
};

}  // namespace

std::unique_ptr<Deflater> make_zlib_deflater(int level) {
  return std::make_unique<ZlibDeflater>(level);
}

}  // namespace lay::layerstore
