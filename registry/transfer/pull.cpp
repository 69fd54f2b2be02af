#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/slots.h"
#include "base/text.h"
#include "client/client.h"
#include "layerstore/commit.h"
#include "layerstore/media_types.h"
#include "names/policy.h"
#include "registry/transfer.h"
#include "transfer/image_check.h"
#include "transfer/layer_fetch.h"
#include "transfer/origin.h"
#include "transfer/parallel.h"
#include "transfer/transfer_notes.h"
#include "transfer/turn.h"

namespace lay::registry {

namespace {

using layerstore::Descriptor;
using layerstore::Digest;
using layerstore::Image;
using layerstore::ImageConfig;
using layerstore::Manifest;
using layerstore::Platform;
using layerstore::Store;

/// To look through it takes as much as to make it.
bool is_there(const Store& store, const Descriptor& blob, const Digest& diff_id, LayerSlots& slots,
              const std::stop_token& stop) {
  if (store.blobs().size(blob.digest) != blob.size) return false;
  const Slots::Taken turn = slots.makers.take([&] { throw_if_stopped(stop); });
  return layerstore::is_layer_stored(store, blob, diff_id);
}

/// One layer of the image that is pulled, as its manifest and its config have it.
struct WantedLayer {
  const Descriptor& blob;
  const Digest& diff_id;
  /// The image pairs neither with anything else: else one of the two pairs is wrong, and the blob tells.
  bool is_unambiguous = true;
};

/// What the jobs of one pull share.
struct Pull {
  const Store& store;
  const RegistryClient& client;
  const PullRequest& request;
  Progress& progress;
  bool is_known = false;  ///< the store has the manifest: what it has of neither blob nor record is lost
  LayerSlots& slots;

  void get_layer(const WantedLayer& layer, const std::stop_token& stop) const;

 private:
  std::string origin() const;
  bool may_lack_blob(const WantedLayer& layer) const;
  bool leave_blob(const WantedLayer& layer, const std::stop_token& stop) const;
  bool finds_layer(const WantedLayer& layer, Progress::Task& task, const std::stop_token& stop) const;
};

std::string Pull::origin() const {
  return request.reference.domain + "/" + request.reference.repository;
}

/// Whether the image may do without this blob, if the layer is here.
bool Pull::may_lack_blob(const WantedLayer& layer) const {
  if (request.blobs == Blobs::all || !layer.is_unambiguous) return false;
  if (layerstore::media_type::is_foreign(layer.blob.media_type)) return false;
  if (store.blobs().has(layer.blob.digest)) return false;  // damaged: it is fetched
  const auto noted = store.absent().find(layer.blob.digest);
  return noted ? store.absent().has(layer.blob, layer.diff_id) : !is_known;
}

/// Whether the layer is here without this blob, which then stays where it is, and is noted.
bool Pull::leave_blob(const WantedLayer& layer, const std::stop_token& stop) const {
  const Slots::Taken turn = slots.makers.take([&] { throw_if_stopped(stop); });
  if (layerstore::media_type::compression_of(layer.blob.media_type) == layerstore::Compression::none)
    return layerstore::store_plain_blob(store, layer.blob, layer.diff_id);
  if (!store.layers().secure(layer.diff_id)) return false;
  if (!store.absent().note({.blob = layer.blob, .diff_id = layer.diff_id, .origins = {origin()}}))
    return false;                        // another pull noted it meanwhile, as another layer
  store.blobs().drop_parts(layer.blob);  // of a pull that was killed when the layer was made
  return true;
}

/// Whether nothing of the layer has to be fetched; tells `task` then.
bool Pull::finds_layer(const WantedLayer& layer, Progress::Task& task, const std::stop_token& stop) const {
  if (is_there(store, layer.blob, layer.diff_id, slots, stop)) {
    task.done("already there");
    return true;
  }
  // Asked before the wait for a slot: all layers come at once.
  if (!may_lack_blob(layer) || !store.layers().has(layer.diff_id) || !leave_blob(layer, stop)) return false;
  task.done("layer already there, blob not fetched");
  return true;
}

void Pull::get_layer(const WantedLayer& layer, const std::stop_token& stop) const {
  const auto task = progress.begin("layer " + layer.blob.digest.short_hex(), layer.blob.size);
  if (finds_layer(layer, *task, stop)) return;
  const Turn turn = take_turn(store.blobs(), layer.blob,
                              std::chrono::seconds(client.patience().stall_seconds), progress, stop);
  if (turn.has_waited && finds_layer(layer, *task, stop)) return;
  LayerRequest wanted{.blob = layer.blob, .diff_id = layer.diff_id};
  // One that is damaged is made of its blob.
  if (may_lack_blob(layer) && !store.layers().has(layer.diff_id)) wanted.may_stay_in = origin();
  fetch_layer(store, client, wanted, slots, *task, stop);
}

std::vector<WantedLayer> wanted_layers(const Image& image) {
  std::map<Digest, std::set<Digest>> partners;  // of blobs and of diff_ids
  std::set<std::pair<Digest, Digest>> seen;     // one layer may occur twice in a stack
  std::vector<WantedLayer> layers;
  for (std::size_t i = 0; i < image.manifest.layers.size(); ++i) {
    const Descriptor& blob = image.manifest.layers[i];
    const Digest& diff_id = image.config.diff_ids[i];
    if (!seen.emplace(blob.digest, diff_id).second) continue;
    layers.push_back({.blob = blob, .diff_id = diff_id});
    partners[blob.digest].insert(diff_id);
    partners[diff_id].insert(blob.digest);
  }
  for (WantedLayer& layer : layers)
    layer.is_unambiguous =
        partners.at(layer.blob.digest).size() == 1 && partners.at(layer.diff_id).size() == 1;
  return layers;
}

/// All of them come at once, and are made a few at a time (LayerSlots).
void get_layers(const Pull& pull, const Image& image) {
  const std::vector<WantedLayer> layers = wanted_layers(image);
  std::vector<std::function<void(const std::stop_token&)>> jobs;
  for (const WantedLayer& layer : layers)
    jobs.emplace_back([&](const std::stop_token& stop) { pull.get_layer(layer, stop); });
  run_parallel(jobs, pull.request.parallel);
}

void put_document(const Store& store, const Descriptor& descriptor, const std::string& bytes) {
  layerstore::BlobWriter writer = store.blobs().begin(descriptor.digest.algorithm());
  writer.write(std::as_bytes(std::span(bytes)));
  writer.commit(descriptor);
}

/// A later push to the same registry may mount what it has.
void remember_blobs(const Store& store, const RegistryClient& client, const Manifest& manifest) {
  std::set<Digest> blobs{manifest.config.digest};
  for (const Descriptor& layer : manifest.layers) blobs.insert(layer.digest);
  TransferNotes(store.path(), client.domain()).remember(client.repository(), blobs);
}

/// Whether a tag leads to `digest`: as such, or as one of the platforms of its index.
bool leads_to(const Document& tagged, const Digest& digest) {
  if (tagged.digest == digest) return true;
  if (layerstore::classify_document(tagged.bytes, tagged.content_type) != layerstore::DocumentKind::index)
    return false;
  const std::vector<Descriptor> manifests = layerstore::parse_index(tagged.bytes).manifests;
  return std::any_of(manifests.begin(), manifests.end(),
                     [&](const Descriptor& manifest) { return manifest.digest == digest; });
}

/// Of "name:tag@digest" the digest decides. A mirror need not know where a tag leads by now.
void warn_of_moved_tag(const RegistryClient& client, const PullRequest& request) {
  const Reference& reference = request.reference;
  const bool has_both = reference.digest && !reference.tag.empty();
  if (!request.warn || !has_both || client.domain() != reference.domain) return;
  try {
    const Document tagged = client.get_manifest(reference.tag, std::nullopt);
    if (!leads_to(tagged, *reference.digest))
      request.warn(fmt::format("tag '{}' leads to {} now; {} was asked for and is taken", reference.tag,
                               tagged.digest.to_string(), reference.digest->to_string()));
  } catch (const Error& error) {
    if (error.code() == Errc::cancelled) throw;
  }
}

}  // namespace

Image pull(const Store& store, const PullRequest& request, const std::string& name, Progress& progress) {
  require_accepted(request.reference);
  const Origin origin = find_origin(request.reference, request.platform, request.connection);
  const RegistryClient& client = *origin.client;
  const Document& document = origin.document;
  const Manifest manifest = layerstore::parse_manifest(document.bytes);
  check_manifest(manifest);
  const std::string config = client.read_blob(manifest.config);
  Image image{.descriptor = Descriptor{.media_type = manifest.media_type,
                                       .digest = document.digest,
                                       .size = document.bytes.size()},
              .manifest = manifest,
              .config = layerstore::parse_image_config(config)};
  check_config(image.config, manifest, request.platform);

  const FileLock writing = store.begin_adding();
  map_large_buffers();
  LayerSlots slots;
  const Pull pulling{.store = store,
                     .client = client,
                     .request = request,
                     .progress = progress,
                     .is_known = store.blobs().has(image.descriptor.digest),
                     .slots = slots};
  get_layers(pulling, image);
  put_document(store, manifest.config, config);
  put_document(store, image.descriptor, document.bytes);
  if (!name.empty()) store.images().put(name, image.descriptor, request.reference.digest);
  remember_blobs(store, client, manifest);
  warn_of_moved_tag(client, request);  // last: it may wait for a registry that is busy
  return image;
}

}  // namespace lay::registry
