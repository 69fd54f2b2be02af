#include "base/error.h"
#include "codec/deflate.h"
#include "codec/isal_library.h"

namespace lay::layerstore {

namespace {

/// Data that cannot be compressed grow by a stored block's header for each 64 KiB; a flush adds a few bytes.
constexpr std::size_t bound(std::size_t size) {
  return size + size / 64 + 1024;
}

std::size_t working_memory(int level) {
  switch (level) {
    case 1:
      return ISAL_DEF_LVL1_DEFAULT;
    case 2:
      return ISAL_DEF_LVL2_DEFAULT;
    default:
      return ISAL_DEF_LVL3_DEFAULT;
  }
}

/// ISA-L does not write to input, but its fields are not const.
std::uint8_t* input_of(std::span<const std::byte> bytes) {
  return const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(bytes.data()));
}

class IsalDeflater final : public Deflater {
 public:
  IsalDeflater(const IsalLibrary& library, int level)
      : library_(library),
        level_(static_cast<std::uint32_t>(level)),
        memory_(working_memory(level)),
        stream_(std::make_unique<isal_zstream>()) {}

  std::span<const std::byte> deflate(std::span<const std::byte> before, std::span<const std::byte> block,
                                     BlockKind kind) override {
    library_.deflate_init(stream_.get());
    stream_->level = level_;
    stream_->level_buf = memory_.data();
    stream_->level_buf_size = static_cast<std::uint32_t>(memory_.size());
    if (!before.empty() && library_.deflate_set_dict(stream_.get(), input_of(before),
                                                     static_cast<std::uint32_t>(before.size())) != COMP_OK)
      throw Error(Errc::io, "compress with gzip: the block before was refused");

    if (output_.size() < bound(block.size())) output_.resize(bound(block.size()));
    stream_->flush = SYNC_FLUSH;
    stream_->end_of_stream = kind == BlockKind::last ? 1 : 0;
    stream_->next_in = input_of(block);
    stream_->avail_in = static_cast<std::uint32_t>(block.size());
    stream_->next_out = reinterpret_cast<std::uint8_t*>(output_.data());
    stream_->avail_out = static_cast<std::uint32_t>(output_.size());
    if (library_.deflate(stream_.get()) != COMP_OK || stream_->avail_in != 0 || stream_->avail_out == 0)
      throw Error(Errc::io, "compress with gzip: a block did not fit");
    return std::span(output_).first(stream_->total_out);
  }

  std::uint32_t crc(std::span<const std::byte> block) const override {
    return library_.crc32(0, input_of(block), block.size());
  }

 private:
  const IsalLibrary& library_;
  const std::uint32_t level_;
  std::vector<std::uint8_t> memory_;
  const std::unique_ptr<isal_zstream> stream_;
  std::vector<std::byte> output_;
};

}  // namespace

std::unique_ptr<Deflater> make_isal_deflater(int level) {
  const IsalLibrary* library = isal_library();
  return library != nullptr ? std::make_unique<IsalDeflater>(*library, level) : nullptr;
}

}  // namespace lay::layerstore
