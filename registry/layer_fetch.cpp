#include "layer_fetch.h"

#include <malloc.h>

#include <optional>

#include "base/error.h"
#include "blob_pieces.h"
#include "layerstore/commit.h"
#include "layerstore/partial.h"

namespace lay::registry {

namespace {

using layerstore::Descriptor;
using layerstore::Digest;
using layerstore::Store;

/// Tells a task about the bytes that pass through.
class CountingSink final : public ByteSink {
 public:
  CountingSink(ByteSink& next, Progress::Task& task) : next_(next), task_(task) {}
  void write(std::span<const std::byte> bytes) override {
    next_.write(bytes);
    task_.advance(bytes.size());
  }

 private:
  ByteSink& next_;
  Progress::Task& task_;
};

/// What another way to fetch does not help.
bool is_of_this_machine(const Error& error) {
  return error.code() == Errc::no_space || error.code() == Errc::io;
}

/// Puts a zstd:chunked layer together from what the store has and what it lacks. Returns how many bytes were
/// fetched; empty when the whole has to be, which may be right whatever was wrong with its parts.
std::optional<std::uint64_t> fetch_changes(const Store& store, const RegistryClient& client,
                                           const Descriptor& blob, const Digest& diff_id, LayerSlots& slots,
                                           const std::stop_token& stop) {
  if (!layerstore::PartialBlob::may_have_table(blob)) return std::nullopt;
  try {
    const Slots::Taken turn = slots.partials.take([&] { throw_if_stopped(stop); });
    BlobPieces pieces(client, blob, stop);
    const auto partial = layerstore::PartialBlob::plan(store, blob, pieces);
    if (!partial) return std::nullopt;
    layerstore::receive_layer(
        store, blob, diff_id, [&](std::uint64_t offset, ByteSink& out) { partial->write(offset, out); },
        slots.makers, [&] { throw_if_stopped(stop); });
    return partial->fetched();
  } catch (const Error& error) {
    if (error.code() == Errc::cancelled || is_of_this_machine(error)) throw;
    return std::nullopt;
  }
}

void fetch_whole(const Store& store, const RegistryClient& client, const Descriptor& blob,
                 const Digest& diff_id, LayerSlots& slots, Progress::Task& task,
                 const std::stop_token& stop) {
  const auto fetch = [&](std::uint64_t offset, ByteSink& out) {
    task.advance(offset);
    CountingSink counted(out, task);
    client.get_blob(blob, offset, counted, stop);
  };
  layerstore::receive_layer(store, blob, diff_id, fetch, slots.makers, [&] { throw_if_stopped(stop); });
}

}  // namespace

void throw_if_stopped(const std::stop_token& stop) {
  if (stop.stop_requested()) throw Error(Errc::cancelled, "interrupted");
}

void fetch_layer(const Store& store, const RegistryClient& client, const Descriptor& blob,
                 const Digest& diff_id, LayerSlots& slots, Progress::Task& task,
                 const std::stop_token& stop) {
  const auto fetched = fetch_changes(store, client, blob, diff_id, slots, stop);
  if (!fetched) fetch_whole(store, client, blob, diff_id, slots, task, stop);
  store.absent().remove(blob.digest);
  task.done(fetched ? fmt::format("pulled, {} % of it fetched", *fetched * 100 / blob.size) : "pulled");
}

void map_large_buffers() {
  ::mallopt(M_MMAP_THRESHOLD, 128 * 1024);
}

}  // namespace lay::registry
