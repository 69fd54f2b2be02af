#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "base/progress.h"
#include "base/slots.h"
#include "client/client.h"
#include "layerstore/store.h"

namespace lay::registry {

/// What takes memory: up to 14 MiB for each layer that is made (blocks between its threads, the window of
/// zstd), and two cores that hash and inflate have work enough from three; the tables of all the store's
/// blobs for each one that is put together. A layer that only comes in lies on disk.
struct LayerSlots {
  Slots makers{3};
  Slots partials{2};
};

void throw_if_stopped(const std::stop_token& stop);

/// A layer that is to come, as a manifest and a config pair it.
struct LayerRequest {
  const layerstore::Descriptor& blob;
  const layerstore::Digest& diff_id;
  /// Whether its blob may stay in the registry, and where that is noted to be ("HOST/REPOSITORY").
  std::optional<std::string> may_stay_in = {};
};

/// Brings the blob of a layer from `client`'s repository, in parts where the store has most of it, and makes
/// the layer of it where that is not there. Where the blob may stay and the store has much more of its files
/// than of its frames, the layer alone is made, and the blob noted as absent. Tells `task` how. The caller
/// holds Store::share().
void fetch_layer(const layerstore::Store& store, const RegistryClient& client, const LayerRequest& layer,
                 LayerSlots& slots, Progress::Task& task, const std::stop_token& stop);

/// For the whole process: the buffers of a layer that is done go back to the system. Otherwise glibc raises,
/// with the first of them, the size from which it does that, and keeps 8 MiB for each thread that has
/// inflated zstd: 144 MiB in all.
void map_large_buffers();

}  // namespace lay::registry
