#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/pipeline.h"
#include "base/syscalls.h"
#include "layer_pair.h"
#include "layer_stream.h"
#include "layerstore/commit.h"

namespace lay::layerstore {

void require_pair(const Store& store, const Descriptor& blob, const Digest& diff_id) {
  if (store.layers().is_from(diff_id, blob)) return;
  with_context(fmt::format("layer {}", blob.digest.to_string()), [&] {
    const UniqueFd file = store.blobs().open(blob.digest);
    FdSource stored(file);
    verify_diff_id(stored, blob, diff_id, store.layers().limits());
  });
  if (store.layers().has(diff_id)) store.layers().note_blob(diff_id, blob);
}

namespace {

/// `compressed` gives all bytes of the blob, those that `writer` has kept included.
void take_in(const Store& store, BlobWriter& writer, ByteSource& compressed, const Descriptor& blob,
             const Digest& diff_id) {
  ExactSource exact(compressed, blob.size);
  TeeSource stored(exact, writer);
  if (store.layers().has(diff_id)) {
    hash_verified(stored, blob, diff_id, store.layers().limits(), [&] { writer.verify(blob); });
    writer.commit(blob);
    store.layers().note_blob(diff_id, blob);
    return;
  }
  LayerWriter layer = store.layers().begin(diff_id.algorithm());
  unpack_verified(stored, blob, diff_id, store.layers().limits(), layer, [&] { writer.verify(blob); });
  // Both are verified now. The blob first: a layer can be made again from its
  // blob, not the other way round.
  writer.commit(blob);
  layer.note_blob(blob);
  layer.commit(diff_id);
}

/// The first `size` bytes of a file, then another source.
class KeptSource final : public ByteSource {
 public:
  KeptSource(UniqueFd kept, std::uint64_t size, ByteSource& rest)
      : kept_(std::move(kept)), left_(size), rest_(rest) {}
  std::size_t read(std::span<std::byte> out) override {
    if (left_ == 0) return rest_.read(out);
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(left_, out.size()));
    const std::size_t count = sys::read_some(kept_, out.first(wanted));
    if (count == 0) throw Error(Errc::corrupt, "the kept part of the blob has shrunk");
    left_ -= count;
    return count;
  }

 private:
  UniqueFd kept_;
  std::uint64_t left_;
  ByteSource& rest_;
};

bool may_pass(const Error& error) {
  return error.code() == Errc::unavailable || error.code() == Errc::cancelled ||
         error.code() == Errc::unauthorized;
}

bool is_damage(const Error& error) {
  return error.code() == Errc::corrupt || error.code() == Errc::invalid;
}

/// False when what an earlier call had kept may be at fault; it is thrown away then.
bool try_receive(const Store& store, const Descriptor& blob, const Digest& diff_id, const FetchRest& fetch) {
  BlobWriter writer = store.blobs().resume(blob);
  try {
    const auto produce = [&](ByteSink& pipe) {
      if (writer.kept() < blob.size) fetch(writer.kept(), pipe);
    };
    run_pipeline(produce, [&](ByteSource& rest) {
      KeptSource all(writer.open_written(), writer.kept(), rest);
      take_in(store, writer, all, blob, diff_id);
    });
    return true;
  } catch (const Error& error) {
    if (is_damage(error) && writer.kept() > 0) return false;
    if (may_pass(error)) writer.keep();
    throw;
  }
}

}  // namespace

void receive_layer(const Store& store, ByteSource& compressed, const Descriptor& blob,
                   const Digest& diff_id) {
  with_context(fmt::format("layer {}", blob.digest.to_string()), [&] {
    BlobWriter writer = store.blobs().begin(blob.digest.algorithm());
    take_in(store, writer, compressed, blob, diff_id);
  });
}

void receive_layer(const Store& store, const Descriptor& blob, const Digest& diff_id,
                   const FetchRest& fetch) {
  with_context(fmt::format("layer {}", blob.digest.to_string()), [&] {
    while (!try_receive(store, blob, diff_id, fetch)) {
    }
  });
}

void ensure_layer(const Store& store, const Descriptor& blob, const Digest& diff_id) {
  store.layers().ensure(diff_id, blob, store.blobs());
  if (store.layers().is_from(diff_id, blob) || !store.blobs().is_whole(blob)) return;
  require_pair(store, blob, diff_id);
}

bool is_layer_stored(const Store& store, const Descriptor& blob, const Digest& diff_id) {
  if (!store.blobs().is_whole(blob)) return false;
  if (!store.layers().has(diff_id))
    store.layers().ensure(diff_id, blob, store.blobs());
  else
    require_pair(store, blob, diff_id);
  return true;
}

}  // namespace lay::layerstore
