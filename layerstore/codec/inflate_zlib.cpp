#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>

#include "base/error.h"
#include "codec/inflate.h"

namespace lay::layerstore {

namespace {

constexpr int kGzip = 15 + 16;  // window bits; plus 16: gzip only

uInt clamped(std::size_t size) {
  return static_cast<uInt>(std::min<std::size_t>(size, std::numeric_limits<uInt>::max()));
}

class ZlibInflater final : public Inflater {
 public:
  ZlibInflater() {
    if (inflateInit2(&stream_, kGzip) != Z_OK) throw Error(Errc::io, "decompress gzip: out of memory");
  }
  ZlibInflater(const ZlibInflater&) = delete;
  ZlibInflater& operator=(const ZlibInflater&) = delete;
  ~ZlibInflater() override { inflateEnd(&stream_); }

  void begin_member() override {
    inflateReset(&stream_);
    // zlib checks a trailer only after a header, and the caller has read that: a plain one stands for it
    constexpr std::array<std::uint8_t, 10> kHeader{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff};
    std::array<std::byte, 1> unused;
    step(std::as_bytes(std::span(kHeader)), unused);
  }

  InflateStep step(std::span<const std::byte> in, std::span<std::byte> out) override {
    // zlib does not write to input, but its field is not const
    stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(in.data()));
    stream_.avail_in = clamped(in.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = clamped(out.size());
    const uInt offered = stream_.avail_in;
    const uInt room = stream_.avail_out;
    const int status = inflate(&stream_, Z_NO_FLUSH);
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)  // BUF_ERROR: it wants more input
      throw Error::make(Errc::corrupt, "gzip data is damaged: {}",
                        stream_.msg != nullptr ? stream_.msg : "it asks for a dictionary");
    return {.consumed = offered - stream_.avail_in,
            .produced = room - stream_.avail_out,
            .is_member_end = status == Z_STREAM_END};
  }

 private:
  z_stream stream_{};
};

}  // namespace

std::unique_ptr<Inflater> make_zlib_inflater() {
  return std::make_unique<ZlibInflater>();
}

}  // namespace lay::layerstore
