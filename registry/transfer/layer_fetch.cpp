#include "transfer/layer_fetch.h"

#include <malloc.h>

#include <optional>

#include "base/error.h"
#include "client/blob_pieces.h"
#include "layerstore/commit.h"
#include "layerstore/partial.h"
#include "transfer/counting_sink.h"

namespace lay::registry {

namespace {

using layerstore::Store;

/// What another way to fetch does not help.
bool is_of_this_machine(const Error& error) {
  return error.code() == Errc::no_space || error.code() == Errc::io;
}

/// What came of a layer.
struct Fetched {
  std::uint64_t bytes = 0;
  bool has_blob = true;
};

/// Whether a blob that may stay where it is is not on its way here already.
bool may_lack_blob(const Store& store, const LayerRequest& layer) {
  return layer.may_stay_in && store.blobs().kept(layer.blob) == 0;
}

/// False when another pull noted the blob meanwhile as another layer: it has to tell which is right.
bool note_absent(const Store& store, const LayerRequest& layer) {
  return store.absent().note({.blob = layer.blob, .diff_id = layer.diff_id, .origins = {*layer.may_stay_in}});
}

/// Puts a zstd:chunked layer together from what the store has and what it lacks. Empty when the whole has to
/// be fetched, which may be right whatever was wrong with its parts.
std::optional<Fetched> fetch_changes(const Store& store, const RegistryClient& client,
                                     const LayerRequest& layer, LayerSlots& slots,
                                     const std::stop_token& stop) {
  if (!layerstore::PartialLayer::may_have_table(layer.blob)) return std::nullopt;
  const auto check = [&] { throw_if_stopped(stop); };
  BlobPieces pieces(client, layer.blob, stop);
  bool are_parts_kept = false;
  try {
    const Slots::Taken turn = slots.partials.take(check);
    const auto partial = layerstore::PartialLayer::plan(
        store, layer.blob, pieces,
        {.may_lack_blob = may_lack_blob(store, layer), .like = layer.may_stay_in.value_or("")});
    if (!partial) return std::nullopt;
    if (partial->is_tar()) {
      are_parts_kept = true;
      const auto bytes =
          layerstore::receive_tar(store, layer.blob, layer.diff_id, *partial, pieces, slots.makers, check);
      if (bytes && !note_absent(store, layer)) return std::nullopt;
      return bytes ? std::optional(Fetched{.bytes = *bytes, .has_blob = false}) : std::nullopt;
    }
    layerstore::receive_layer(
        store, layer.blob, layer.diff_id,
        [&](std::uint64_t offset, ByteSink& out) { partial->write_blob(offset, out); }, slots.makers, check);
    return Fetched{.bytes = partial->fetched()};
  } catch (const Error& error) {
    // The registry has served ranges before it went away: the next pull goes on with the rest of them.
    const bool goes_on = are_parts_kept && error.code() == Errc::unavailable;
    // The whole would be one request more; or is not there either. What is missing here it brings.
    const bool is_enough = error.code() == Errc::limited || pieces.is_gone();
    if (goes_on || is_enough || error.code() == Errc::cancelled || is_of_this_machine(error)) throw;
    return std::nullopt;
  }
}

void fetch_whole(const Store& store, const RegistryClient& client, const LayerRequest& layer,
                 LayerSlots& slots, Progress::Task& task, const std::stop_token& stop) {
  const auto fetch = [&](std::uint64_t offset, ByteSink& out) {
    task.advance(offset);
    CountingSink counted(out, task);
    client.get_blob(layer.blob, offset, counted, stop);
  };
  layerstore::receive_layer(store, layer.blob, layer.diff_id, fetch, slots.makers,
                            [&] { throw_if_stopped(stop); });
}

}  // namespace

void throw_if_stopped(const std::stop_token& stop) {
  if (stop.stop_requested()) throw Error(Errc::cancelled, "interrupted");
}

void fetch_layer(const Store& store, const RegistryClient& client, const LayerRequest& layer,
                 LayerSlots& slots, Progress::Task& task, const std::stop_token& stop) {
  const auto changes = fetch_changes(store, client, layer, slots, stop);
  if (!changes) fetch_whole(store, client, layer, slots, task, stop);
  if (!changes || changes->has_blob) {
    store.absent().remove(layer.blob.digest);
    store.blobs().drop_parts(layer.blob);
  }
  task.done(changes ? fmt::format("pulled, {} % of it fetched", changes->bytes * 100 / layer.blob.size)
                    : "pulled");
}

void map_large_buffers() {
  ::mallopt(M_MMAP_THRESHOLD, 128 * 1024);
}

}  // namespace lay::registry
