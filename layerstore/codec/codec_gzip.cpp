#include "codec/codec_gzip.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/ordered_jobs.h"

namespace lay::layerstore {

namespace {

constexpr int kMaxIsalLevel = 3;
constexpr int kDefaultIsalLevel =
    2;  // of 860 MB: 3 s of CPU for 416 MB, where level 3 takes 4.5 s for 412 MB
constexpr int kDefaultZlibLevel =
    4;  // of 860 MB: 18 s of CPU for 393 MB, where level 6 takes 29 s for 386 MB
constexpr std::size_t kBlock = 1024 * 1024;
constexpr std::size_t kWindow = 32 * 1024;  // as far back as deflate can refer

using Bytes = std::vector<std::byte>;

/// Little-endian, RFC 1952 section 2.1.
void append_u32(Bytes& out, std::uint32_t value) {
  for (unsigned shift = 0; shift < 32; shift += 8) out.push_back(static_cast<std::byte>(value >> shift));
}

/// One block on its way: what it needs, and what became of it. Used again for a later block, so that memory
/// is taken from the kernel once.
struct Work {
  std::unique_ptr<Deflater> deflater;
  Bytes before;
  Bytes block;
  std::span<const std::byte> data{};  ///< deflated; lies in the deflater
  std::uint32_t crc = 0;
};

class GzipSink final : public ByteSink {
 public:
  GzipSink(DeflaterFactory make_deflater, unsigned workers, ByteSink& out)
      : make_deflater_(std::move(make_deflater)), out_(out), running_(workers), current_(new_work()) {
    // No flags, time 0 ("none available"), no extra flags, operating system 255 ("unknown").
    constexpr std::array<std::uint8_t, 10> kHeader{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff};
    out_.write(std::as_bytes(std::span(kHeader)));
  }

  void write(std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      if (current_->block.size() == kBlock) start(BlockKind::inner);
      Bytes& block = current_->block;
      const std::size_t count = std::min(bytes.size(), kBlock - block.size());
      block.insert(block.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
      bytes = bytes.subspan(count);
    }
  }

  void finish() override {
    start(BlockKind::last);
    while (!running_.is_empty()) collect();
    Bytes trailer;
    append_u32(trailer, crc_);
    append_u32(trailer, static_cast<std::uint32_t>(size_));  // modulo 2^32, as the format says
    out_.write(trailer);
    out_.finish();
  }

 private:
  std::unique_ptr<Work> new_work() {
    auto work = std::make_unique<Work>(Work{.deflater = make_deflater_()});
    work->block.reserve(kBlock);
    return work;
  }

  void start(BlockKind kind) {
    if (running_.is_full()) collect();
    std::unique_ptr<Work> next = spare_ ? std::move(spare_) : new_work();
    const Bytes& block = current_->block;
    next->before.assign(block.end() - static_cast<std::ptrdiff_t>(std::min(block.size(), kWindow)),
                        block.end());
    next->block.clear();
    running_.start([work = std::move(current_), kind]() mutable {
      work->data = work->deflater->deflate(work->before, work->block, kind);
      work->crc = work->deflater->crc(work->block);
      return std::move(work);
    });
    current_ = std::move(next);
  }

  void collect() {
    spare_ = running_.take();
    const std::size_t count = spare_->block.size();
    out_.write(spare_->data);
    crc_ = static_cast<std::uint32_t>(crc32_combine(crc_, spare_->crc, static_cast<z_off_t>(count)));
    size_ += count;
  }

  const DeflaterFactory make_deflater_;
  ByteSink& out_;
  std::uint32_t crc_ = 0;
  std::uint64_t size_ = 0;
  OrderedJobs<std::unique_ptr<Work>> running_;
  std::unique_ptr<Work> current_;  ///< being filled
  std::unique_ptr<Work> spare_;
};

/// ISA-L for the levels that it has, and by default.
std::unique_ptr<Deflater> make_deflater(int level) {
  if (level <= kMaxIsalLevel)
    if (auto isal = make_isal_deflater(level == 0 ? kDefaultIsalLevel : level)) return isal;
  return make_zlib_deflater(level == 0 ? kDefaultZlibLevel : level);
}

}  // namespace

std::unique_ptr<ByteSink> make_gzip_compressor(DeflaterFactory make_deflater, unsigned workers,
                                               ByteSink& out) {
  return std::make_unique<GzipSink>(std::move(make_deflater), workers, out);
}

std::unique_ptr<ByteSink> make_gzip_compressor(int level, unsigned workers, ByteSink& out) {
  if (level < 0 || level > kMaxGzipLevel)
    throw Error::make(Errc::invalid, "gzip level {} is not between 1 and {}", level, kMaxGzipLevel)
        .with_hint("without a level it is compressed as usual");
  return make_gzip_compressor([level] { return make_deflater(level); }, workers, out);
}

}  // namespace lay::layerstore
