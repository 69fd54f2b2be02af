#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "layerstore/store.h"
#include "server/content/image_names.h"

namespace lay::registry::server {

/// How many servers may ask each other on behalf of one client.
constexpr std::size_t kMaxHops = 4;
/// The names of the servers of this kind that ask for a client.
using Askers = std::set<std::string>;
/// Those in a Via header (RFC 9110 section 7.6.3), whatever else is in it.
Askers askers_of(std::string_view via);

/// Blobs of local images that are not handed on as they are: those that a pull has left in their registry,
/// and those of which nobody has seen yet that they are the layer which their image says. May be called by
/// several threads.
class LeftBlobs {
 public:
  /// Failures of other registries go to `report`: a client is not told where a blob was left.
  LeftBlobs(const layerstore::Store& store, std::function<void(const Error&)> report);

  /// Whether the blob is not here, but noted to be elsewhere.
  bool is_left(const layerstore::Digest& blob) const;
  /// Whether to bring() it for these. Not when the request is one of bring(), here or behind other servers:
  /// to wait for itself is in vain; nor behind too many.
  bool may_bring_for(const Askers& askers) const;
  /// Fetches it, which takes its time: where nobody answers, some seconds. A place that has just failed is
  /// not asked again at once, nor is any for a blob that has just not been found. Throws Refusal 503, or 404
  /// when it is no more where it was.
  void bring(const layerstore::Digest& blob, const Askers& askers);

  /// Whether it was seen that the pair is right. Cheap.
  bool is_seen(const BlobPair& pair) const;
  /// Reads the blob to see it. Throws Refusal 404, told to the operator, when it is another layer.
  void check(const BlobPair& pair);

 private:
  using Clock = std::chrono::steady_clock;

  /// A blob that was nowhere but, maybe, at those who asked, and until when that counts.
  struct Missed {
    Clock::time_point until;
    layerstore::Digest blob;
    Askers askers;
  };

  void refuse_if_failed(const std::string& place, const layerstore::Digest& blob, const Askers& askers);
  void note_failure(Errc code, const std::string& place, const layerstore::Digest& blob,
                    const Askers& askers);

  const layerstore::Store& store_;
  const std::string name_;  ///< of this server, in Via
  const std::function<void(const Error&)> report_;
  mutable std::mutex mutex_;                         // guards what follows
  std::map<std::string, Clock::time_point> silent_;  ///< places, and single blobs; until when that counts
  std::vector<Missed> missed_;
  using Pairs = std::set<std::pair<layerstore::Digest, layerstore::Digest>>;
  Pairs seen_;     ///< where no layer's folder notes it
  Pairs refused_;  ///< which are wrong
};

}  // namespace lay::registry::server
