#include "chunked/layer_compressor.h"

#include <optional>
#include <utility>

#include "base/pipeline.h"
#include "chunked/chunked_writer.h"

namespace lay::layerstore {

namespace {

/// make_compressor() finishes what it writes to.
class KeptOpen final : public ByteSink {
 public:
  explicit KeptOpen(ByteSink& inner) : inner_(inner) {}
  void write(std::span<const std::byte> bytes) override { inner_.write(bytes); }

 private:
  ByteSink& inner_;
};

}  // namespace

CompressedLayer compress_layer(ByteSource& tar, const CompressOptions& options, ByteSink& out,
                               const Spill& spill) {
  if (options.compression == Compression::zstd)
    return write_chunked(tar, options.level, compression_workers(), out, spill);
  KeptOpen open(out);
  const auto compressor = make_compressor(options, open);
  HashingSource hashed(tar);
  pump(hashed, *compressor);
  compressor->finish();
  return {.annotations = {}, .diff_id = hashed.digest()};
}

CompressedLayer compress_beside(ByteSource& tar, const CompressOptions& options, ByteSink& blob,
                                const Spill& spill) {
  std::optional<CompressedLayer> compressed;
  run_pipeline([&](ByteSink& packed) { compressed = compress_layer(tar, options, packed, spill); },
               [&](ByteSource& packed) { pump(packed, blob); });
  return std::move(*compressed);
}

}  // namespace lay::layerstore
