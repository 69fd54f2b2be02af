#include "base/error.h"
#include "base/pipeline.h"
#include "kept_parts.h"
#include "layerstore/damage.h"
#include "layerstore/partial.h"
#include "limited_source.h"

namespace lay::layerstore {

namespace {

constexpr std::size_t kBlocks = 4;  // of 512 KiB, between the two threads: several layers may be on their way

/// The tar becomes the layer as it comes; its digest is the judge.
void make_layer(const Store& store, const Descriptor& blob, const Digest& diff_id,
                const std::function<void(ByteSink& tar)>& write) {
  LayerWriter layer = store.layers().begin(diff_id.algorithm());
  run_pipeline(
      write,
      [&](ByteSource& tar) {
        LimitedSource limited(tar, store.layers().limits(), [&] { return blob.size; });
        layer.apply(limited);
      },
      kBlocks);
  layer.commit(diff_id);
}

}  // namespace

std::optional<std::uint64_t> receive_tar(const Store& store, const Descriptor& blob, const Digest& diff_id,
                                         const PartialLayer& partial, PartSource& source, Slots& makers,
                                         const std::function<void()>& check) {
  return with_context(
      fmt::format("layer {}", blob.digest.to_string()), [&]() -> std::optional<std::uint64_t> {
        const Slots::Taken turn = makers.take(check);
        KeptParts parts(source, store.blobs().resume_parts(blob));
        try {
          make_layer(store, blob, diff_id, [&](ByteSink& tar) { partial.write_tar(parts, tar); });
        } catch (const Error& error) {
          if (may_pass(error)) parts.keep();
          throw;
        }
        if (!store.layers().secure(diff_id)) return std::nullopt;
        return partial.table_size() + parts.fetched();
      });
}

}  // namespace lay::layerstore
