#include "codec_gzip.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <future>
#include <vector>

#include "base/error.h"

namespace lay::layerstore {

namespace {

constexpr int kDefaultLevel = 4;  // of 860 MB: 18 s of CPU for 393 MB, where level 6 takes 29 s for 386 MB
constexpr std::size_t kBlock = 1024 * 1024;
constexpr std::size_t kWindow = 32 * 1024;  // as far back as deflate can refer
constexpr int kMemLevel = 8;                // zlib's default
constexpr int kRawDeflate = -15;            // window bits; negative: no zlib header

using Bytes = std::vector<std::byte>;

/// zlib does not write to input, but its field is not const.
Bytef* input_of(const Bytes& bytes) {
  return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
}

enum class BlockKind { inner, last };

/// What one block became: deflate data that ends at a byte, or the stream, and the block's checksum.
struct DeflatedBlock {
  Bytes data;
  std::uint32_t crc = 0;
  std::size_t input_size = 0;
};

struct Deflater {
  explicit Deflater(int level) {
    if (deflateInit2(&stream, level, Z_DEFLATED, kRawDeflate, kMemLevel, Z_DEFAULT_STRATEGY) != Z_OK)
      throw Error(Errc::io, "compress with gzip: out of memory");
  }
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
  ~Deflater() { deflateEnd(&stream); }
  z_stream stream{};
};

DeflatedBlock deflate_block(int level, const Bytes& before, const Bytes& block, BlockKind kind) {
  Deflater deflater(level);
  z_stream& stream = deflater.stream;
  if (!before.empty()) deflateSetDictionary(&stream, input_of(before), static_cast<uInt>(before.size()));
  // A sync flush appends at most six bytes to what deflateBound() promises for a finished stream.
  DeflatedBlock result{Bytes(deflateBound(&stream, block.size()) + 16), 0, block.size()};
  stream.next_in = input_of(block);
  stream.avail_in = static_cast<uInt>(block.size());
  stream.next_out = reinterpret_cast<Bytef*>(result.data.data());
  stream.avail_out = static_cast<uInt>(result.data.size());
  const int status = deflate(&stream, kind == BlockKind::last ? Z_FINISH : Z_SYNC_FLUSH);
  if (status != (kind == BlockKind::last ? Z_STREAM_END : Z_OK) || stream.avail_out == 0)
    throw Error(Errc::io, "compress with gzip: a block did not fit");
  result.data.resize(stream.total_out);
  result.crc = static_cast<std::uint32_t>(crc32_z(0, input_of(block), block.size()));
  return result;
}

/// Little-endian, RFC 1952 section 2.1.
void append_u32(Bytes& out, std::uint32_t value) {
  for (unsigned shift = 0; shift < 32; shift += 8) out.push_back(static_cast<std::byte>(value >> shift));
}

class GzipSink final : public ByteSink {
 public:
  GzipSink(int level, unsigned workers, ByteSink& out)
      : level_(level), workers_(std::max(workers, 1U)), out_(out) {
    // No flags, time 0 ("none available"), no extra flags, operating system 255 ("unknown").
    constexpr std::array<std::uint8_t, 10> kHeader{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff};
    out_.write(std::as_bytes(std::span(kHeader)));
    block_.reserve(kBlock);
  }

  void write(std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      if (block_.size() == kBlock) start(BlockKind::inner);
      const std::size_t count = std::min(bytes.size(), kBlock - block_.size());
      block_.insert(block_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
      bytes = bytes.subspan(count);
    }
  }

  void finish() override {
    start(BlockKind::last);
    while (!running_.empty()) collect();
    Bytes trailer;
    append_u32(trailer, crc_);
    append_u32(trailer, static_cast<std::uint32_t>(size_));  // modulo 2^32, as the format says
    out_.write(trailer);
    out_.finish();
  }

 private:
  /// Compresses the collected block on a thread of its own, after waiting for the oldest when all are busy.
  void start(BlockKind kind) {
    if (running_.size() == workers_) collect();
    Bytes window(block_.end() - static_cast<std::ptrdiff_t>(std::min(block_.size(), kWindow)), block_.end());
    running_.push_back(std::async(
        std::launch::async, [level = level_, before = std::move(before_), block = std::move(block_), kind] {
          return deflate_block(level, before, block, kind);
        }));
    before_ = std::move(window);
    block_ = {};
    block_.reserve(kBlock);
  }

  void collect() {
    const DeflatedBlock done = running_.front().get();
    running_.pop_front();
    out_.write(done.data);
    crc_ = static_cast<std::uint32_t>(crc32_combine(crc_, done.crc, static_cast<z_off_t>(done.input_size)));
    size_ += done.input_size;
  }

  const int level_;
  const std::size_t workers_;
  ByteSink& out_;
  Bytes before_;
  Bytes block_;
  std::deque<std::future<DeflatedBlock>> running_;  // in the order of the input
  std::uint32_t crc_ = 0;
  std::uint64_t size_ = 0;
};

}  // namespace

std::unique_ptr<ByteSink> make_gzip_compressor(int level, unsigned workers, ByteSink& out) {
  if (level < 0 || level > 9) throw Error::make(Errc::invalid, "gzip level {} is not between 1 and 9", level);
  return std::make_unique<GzipSink>(level == 0 ? kDefaultLevel : level, workers, out);
}

}  // namespace lay::layerstore
