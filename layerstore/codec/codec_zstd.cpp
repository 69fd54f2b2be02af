#include "codec/codec_zstd.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "codec/zstd_library.h"

namespace lay::layerstore {

namespace {

constexpr int kDefaultLevel = 1;   // of 860 MB: 3.0 s of CPU for 406 MB, where level 3 takes 4.6 s for 372 MB
constexpr int kMaxWindowLog = 27;  // 128 MiB
constexpr std::size_t kBuffer = 256 * 1024;

struct FreeCompressor {
  void operator()(ZSTD_CCtx* context) const { zstd().free_compressor(context); }
};
struct FreeDecompressor {
  void operator()(ZSTD_DCtx* context) const { zstd().free_decompressor(context); }
};

/// Failures of the compressor are ours (memory, a wrong parameter), never the data's.
std::size_t checked(std::size_t result) {
  if (zstd().is_error(result) != 0)
    throw Error::make(Errc::io, "compress with zstd: {}", zstd().error_name(result));
  return result;
}

class ZstdSink final : public ByteSink {
 public:
  ZstdSink(int level, unsigned workers, ByteSink& out)
      : out_(out), context_(zstd().create_compressor()), buffer_(kBuffer) {
    if (!context_) throw Error(Errc::io, "compress with zstd: out of memory");
    set(ZSTD_c_compressionLevel, level);
    set(ZSTD_c_checksumFlag, 1);
    set(ZSTD_c_nbWorkers, static_cast<int>(workers));
  }

  void write(std::span<const std::byte> bytes) override {
    ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
    while (input.pos < input.size) step(input, ZSTD_e_continue);
  }

  void finish() override {
    ZSTD_inBuffer input{nullptr, 0, 0};
    while (step(input, ZSTD_e_end) != 0) {
    }
    out_.finish();
  }

 private:
  void set(ZSTD_cParameter parameter, int value) {
    checked(zstd().set_compressor(context_.get(), parameter, value));
  }

  std::size_t step(ZSTD_inBuffer& input, ZSTD_EndDirective directive) {
    ZSTD_outBuffer output{buffer_.data(), buffer_.size(), 0};
    const std::size_t rest = checked(zstd().compress_stream(context_.get(), &output, &input, directive));
    if (output.pos > 0) out_.write(std::span(buffer_).first(output.pos));
    return rest;
  }

  ByteSink& out_;
  std::unique_ptr<ZSTD_CCtx, FreeCompressor> context_;
  std::vector<std::byte> buffer_;
};

class ZstdSource final : public ByteSource {
 public:
  explicit ZstdSource(ByteSource& in) : in_(in), context_(zstd().create_decompressor()), buffer_(kBuffer) {
    if (!context_) throw Error(Errc::io, "decompress zstd: out of memory");
    checked(zstd().set_decompressor(context_.get(), ZSTD_d_windowLogMax, kMaxWindowLog));
  }

  std::size_t read(std::span<std::byte> out) override {
    ZSTD_outBuffer output{out.data(), out.size(), 0};
    while (output.pos == 0 && output.size > 0) {
      if (input_.pos == input_.size && !pending_ && !refill()) break;
      step(output);
    }
    return output.pos;
  }

 private:
  void step(ZSTD_outBuffer& output) {
    const std::size_t result = zstd().decompress_stream(context_.get(), &output, &input_);
    if (zstd().is_error(result) != 0) throw_error(result);
    in_frame_ = result != 0;
    pending_ = in_frame_ && output.pos == output.size;
  }

  [[noreturn]] static void throw_error(std::size_t result) {
    if (zstd().error_code(result) == ZSTD_error_frameParameter_windowTooLarge)
      throw Error(Errc::unsupported, "zstd data needs a window of more than 128 MiB")
          .with_hint("compress it again without --ultra and --long");
    throw Error::make(Errc::corrupt, "zstd data is damaged: {}", zstd().error_name(result));
  }

  /// False at the end of the input, which must be the end of a frame.
  bool refill() {
    input_ = {buffer_.data(), in_.read(buffer_), 0};
    if (input_.size > 0) return true;
    if (in_frame_) throw Error(Errc::corrupt, "zstd data ends too early");
    return false;
  }

  ByteSource& in_;
  std::unique_ptr<ZSTD_DCtx, FreeDecompressor> context_;
  std::vector<std::byte> buffer_;
  ZSTD_inBuffer input_{nullptr, 0, 0};
  bool in_frame_ = true;  // no input at all is no frame either
  bool pending_ = false;  // all input is taken, but the output had no room for the rest
};

/// The level that zstd is asked for.
int checked_level(int level) {
  if (level < 0 || level > kMaxZstdLevel)
    throw Error::make(Errc::invalid, "zstd level {} is not between 1 and {}", level, kMaxZstdLevel)
        .with_hint("without a level it is compressed as usual");
  return level == 0 ? kDefaultLevel : level;
}

}  // namespace

void ZstdFrames::Free::operator()(ZSTD_CCtx_s* context) const {
  zstd().free_compressor(context);
}

namespace {

/// What zstd has for frames of that size, with tables of 3 MiB at most: at the higher levels those of 12 to
/// 16 MiB for each thread make a frame of 1 MiB smaller by less than 1 in 100.
ZSTD_compressionParameters bounded_parameters(int level, std::size_t size) {
  constexpr unsigned kMaxHashLog = 18;
  constexpr unsigned kMaxChainLog = 19;
  constexpr unsigned kMaxChainLogOfRows = 17;  // these strategies use it for short frames alone
  ZSTD_compressionParameters parameters = zstd().parameters(level, size, 0);
  parameters.hashLog = std::min(parameters.hashLog, kMaxHashLog);
  const bool has_rows = parameters.strategy >= ZSTD_greedy && parameters.strategy <= ZSTD_lazy2;
  parameters.chainLog = std::min(parameters.chainLog, has_rows ? kMaxChainLogOfRows : kMaxChainLog);
  return parameters;
}

void set(ZSTD_CCtx* context, ZSTD_cParameter parameter, unsigned value) {
  checked(zstd().set_compressor(context, parameter, static_cast<int>(value)));
}

}  // namespace

ZstdFrames::ZstdFrames(int level) : level_(checked_level(level)), context_(zstd().create_compressor()) {
  if (!context_) throw Error(Errc::io, "compress with zstd: out of memory");
  checked(zstd().set_compressor(context_.get(), ZSTD_c_compressionLevel, level_));
}

std::size_t ZstdFrames::memory(int level, std::size_t size) {
  return zstd().compressor_size(bounded_parameters(checked_level(level), size));
}

std::size_t ZstdFrames::compress(std::span<const std::byte> bytes, std::span<std::byte> out) {
  const ZSTD_compressionParameters bounded = bounded_parameters(level_, bytes.size());
  set(context_.get(), ZSTD_c_hashLog, bounded.hashLog);
  set(context_.get(), ZSTD_c_chainLog, bounded.chainLog);
  return checked(zstd().compress(context_.get(), out.data(), out.size(), bytes.data(), bytes.size()));
}

void ZstdPieces::Free::operator()(ZSTD_DCtx_s* context) const {
  zstd().free_decompressor(context);
}

ZstdPieces::ZstdPieces() : context_(zstd().create_decompressor()) {
  if (!context_) throw Error(Errc::io, "decompress zstd: out of memory");
}

std::span<const std::byte> ZstdPieces::unpack(std::span<const std::byte> frames, std::size_t size) {
  if (plain_.size() < size) plain_.resize(size);
  const std::size_t count =
      zstd().decompress(context_.get(), plain_.data(), size, frames.data(), frames.size());
  if (zstd().is_error(count) != 0)
    throw Error::make(Errc::corrupt, "zstd data is damaged: {}", zstd().error_name(count));
  if (count != size) throw Error::make(Errc::corrupt, "zstd data has {} bytes, expected {}", count, size);
  return std::span(plain_).first(size);
}

std::unique_ptr<ByteSink> make_zstd_compressor(int level, unsigned workers, ByteSink& out) {
  return std::make_unique<ZstdSink>(checked_level(level), workers, out);
}

std::unique_ptr<ByteSource> make_zstd_decompressor(ByteSource& in) {
  return std::make_unique<ZstdSource>(in);
}

}  // namespace lay::layerstore
