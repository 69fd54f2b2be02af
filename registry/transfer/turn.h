#pragma once

#include <chrono>
#include <optional>
#include <stop_token>

#include "base/progress.h"
#include "layerstore/blob_store.h"
#include "layerstore/ingest.h"

namespace lay::registry {

/// The turn to fetch a blob into the store, which one pull has at a time.
struct Turn {
  /// Empty: another pull has it, and stands still.
  std::optional<layerstore::Ingest> held;
  bool has_waited = false;  ///< then the blob, or its layer, may be here by now
};

/// Waits for the turn while whoever has it gets any further within `standstill`; says so to `progress`.
/// Throws cancelled when the user asks to stop meanwhile, or `stop` is asked to. `blobs` must outlive the
/// turn.
Turn take_turn(const layerstore::BlobStore& blobs, const layerstore::Descriptor& blob,
               std::chrono::seconds standstill, Progress& progress, const std::stop_token& stop);

}  // namespace lay::registry
