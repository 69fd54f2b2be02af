#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "base/progress.h"
#include "layerstore/store.h"
#include "registry/transfer.h"

/// Blobs that a pull has left in their registries (layerstore/absent_blobs.h), when somebody needs them.
namespace lay::registry {

/// How to get at them.
struct AbsentRequest {
  /// For the registry of that name. None: without credentials of the user's but those in the auth files.
  std::function<Connection(const std::string& domain)> connection = {};
  /// Hears, as one line, what is fetched and from where.
  std::function<void(const std::string& message)> tell = {};
  std::stop_token stop = {};
};

/// Fetches the blob of one record from wherever it can be had, verified; the layer is made again where it is
/// not there. Throws what the last origin throws, saying where the blob was left; the caller holds
/// Store::share().
void fetch_absent(const layerstore::Store& store, const layerstore::AbsentBlob& absent,
                  const AbsentRequest& request, Progress& progress);

/// Makes every blob that the image's manifest names present, and sees that each is the layer that its config
/// says, for who is about to hand them on. What is absent without a record is left to whoever reads it. The
/// caller holds Store::share().
void fetch_absent_blobs(const layerstore::Store& store, const layerstore::Image& image,
                        const AbsentRequest& request, Progress& progress);

}  // namespace lay::registry
