#include <zlib.h>

#include <array>
#include <cstdint>
#include <vector>

#include "base/error.h"
#include "codec/codec_gzip.h"

namespace lay::layerstore {

namespace {

constexpr std::size_t kBuffer = 256 * 1024;

/// Bits of a member's FLG, RFC 1952 section 2.3.1.
enum Flag : std::uint8_t { header_crc = 0x02, extra = 0x04, name = 0x08, comment = 0x10, reserved = 0xe0 };

/// The compressed bytes, through a buffer.
class Input {
 public:
  explicit Input(ByteSource& in) : in_(in), buffer_(kBuffer) {}

  std::span<const std::byte> rest() const { return rest_; }
  void consume(std::size_t count) { rest_ = rest_.subspan(count); }
  /// Reads more when nothing is left; false at the end.
  bool refill() {
    if (rest_.empty()) rest_ = std::span(buffer_).first(in_.read(buffer_));
    return !rest_.empty();
  }
  std::uint8_t next() {
    if (!refill()) throw Error(Errc::corrupt, "gzip data ends too early");
    const auto byte = static_cast<std::uint8_t>(rest_.front());
    consume(1);
    return byte;
  }

 private:
  ByteSource& in_;
  std::vector<std::byte> buffer_;
  std::span<const std::byte> rest_;
};

/// Reads and checks the header of a member; what it says about the file (name, time) does not matter here.
class HeaderReader {
 public:
  explicit HeaderReader(Input& in) : in_(in) {}

  void read() {
    if (next() != 0x1f || next() != 0x8b)
      throw Error(Errc::corrupt, "gzip data does not start, or is followed, as RFC 1952 says");
    if (next() != Z_DEFLATED) throw Error(Errc::corrupt, "gzip data has an unknown compression method");
    const std::uint8_t flags = next();
    if ((flags & Flag::reserved) != 0) throw Error(Errc::corrupt, "gzip data has unknown flags");
    skip(6);  // time, extra flags, operating system
    if ((flags & Flag::extra) != 0) skip(next_u16());
    if ((flags & Flag::name) != 0) skip_text();
    if ((flags & Flag::comment) != 0) skip_text();
    if ((flags & Flag::header_crc) == 0) return;
    const auto computed = static_cast<std::uint16_t>(crc_);
    if (next_u16() != computed) throw Error(Errc::corrupt, "gzip data is damaged: header checksum");
  }

 private:
  std::uint8_t next() {
    const std::uint8_t byte = in_.next();
    crc_ = static_cast<std::uint32_t>(crc32_z(crc_, &byte, 1));
    return byte;
  }
  std::uint16_t next_u16() {
    const std::uint16_t low = next();
    return static_cast<std::uint16_t>(low | (next() << 8U));
  }
  void skip(std::size_t count) {
    while (count-- > 0) next();
  }
  void skip_text() {
    while (next() != 0) {
    }
  }

  Input& in_;
  std::uint32_t crc_ = 0;
};

class GzipSource final : public ByteSource {
 public:
  GzipSource(std::unique_ptr<Inflater> inflater, ByteSource& in) : inflater_(std::move(inflater)), in_(in) {}

  std::size_t read(std::span<std::byte> out) override {
    if (out.empty()) return 0;
    for (;;) {
      if (state_ == State::before_first || (state_ == State::between && in_.refill())) begin_member();
      if (state_ == State::between) return 0;
      if (!may_hold_back_ && !in_.refill()) throw Error(Errc::corrupt, "gzip data ends too early");
      const InflateStep step = inflater_->step(in_.rest(), out);
      in_.consume(step.consumed);
      may_hold_back_ = step.produced == out.size();
      if (step.is_member_end) state_ = State::between;
      if (step.produced > 0) return step.produced;
    }
  }

 private:
  enum class State { before_first, in_member, between };

  void begin_member() {
    HeaderReader(in_).read();
    inflater_->begin_member();
    state_ = State::in_member;
    may_hold_back_ = false;
  }

  const std::unique_ptr<Inflater> inflater_;
  Input in_;
  State state_ = State::before_first;
  bool may_hold_back_ = false;  ///< output had no room for all there is: no input is needed to go on
};

}  // namespace

std::unique_ptr<ByteSource> make_gzip_decompressor(std::unique_ptr<Inflater> inflater, ByteSource& in) {
  return std::make_unique<GzipSource>(std::move(inflater), in);
}

std::unique_ptr<ByteSource> make_gzip_decompressor(ByteSource& in) {
  std::unique_ptr<Inflater> inflater = make_isal_inflater();
  return make_gzip_decompressor(inflater ? std::move(inflater) : make_zlib_inflater(), in);
}

}  // namespace lay::layerstore
