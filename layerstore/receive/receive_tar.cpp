#include <utility>

#include "base/error.h"
#include "base/pipeline.h"
#include "chunked/kept_parts.h"
#include "codec/limited_source.h"
#include "layerstore/damage.h"
#include "layerstore/partial.h"

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

/// Begins again where a connection broke off for longer than its requests had patience, as long as enough
/// more was kept each time. False when nothing was from the first: it may only be the parts that are not
/// served.
bool while_it_gets_further(KeptParts& parts, const std::function<void()>& make) {
  const std::uint64_t first = parts.take_up();
  for (std::uint64_t before = first;;) {
    try {
      make();
      return true;
    } catch (const Error& error) {
      const bool is_gone = error.code() == Errc::unavailable;
      const std::uint64_t kept = is_gone ? parts.take_up() : 0;
      if (is_gone && kept >= std::exchange(before, kept) + KeptParts::kWorthKeeping) continue;
      if (may_pass(error)) parts.keep();
      if (is_gone && kept < first + KeptParts::kWorthKeeping) return false;
      throw;
    }
  }
}

}  // namespace

std::optional<std::uint64_t> receive_tar(const Store& store, const Descriptor& blob, const Digest& diff_id,
                                         const PartialLayer& partial, PartSource& source, Slots& makers,
                                         const std::function<void()>& check) {
  return with_context(
      fmt::format("layer {}", blob.digest.to_string()), [&]() -> std::optional<std::uint64_t> {
        const Slots::Taken turn = makers.take(check);
        KeptParts parts(source, store.blobs().resume_parts(blob));
        const bool is_made = while_it_gets_further(parts, [&] {
          make_layer(store, blob, diff_id, [&](ByteSink& tar) { partial.write_tar(parts, tar); });
        });
        if (!is_made || !store.layers().secure(diff_id)) return std::nullopt;
        return partial.table_size() + parts.fetched();
      });
}

}  // namespace lay::layerstore
