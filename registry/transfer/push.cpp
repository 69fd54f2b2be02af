#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/slots.h"
#include "client/client.h"
#include "client/upload.h"
#include "layerstore/layer_pair.h"
#include "layerstore/manifest.h"
#include "layerstore/media_types.h"
#include "registry/absent.h"
#include "registry/registries_conf.h"
#include "registry/transfer.h"
#include "transfer/parallel.h"
#include "transfer/transfer_notes.h"

namespace lay::registry {

namespace {

using layerstore::Descriptor;
using layerstore::Digest;
using layerstore::Manifest;
using layerstore::Store;

/// The diff_ids that the image's config pairs with each of its blobs: one, unless it contradicts itself.
using LayersOfBlobs = std::map<Digest, std::set<Digest>>;

/// What one push shares between its threads.
struct Push {
  const Store& store;
  const RegistryClient& client;
  const TransferNotes& notes;
  Progress& progress;
  const PushRequest& request;
  const LayersOfBlobs& layers;
  ChunkSize chunk{request.chunk};
  Slots checks{2};  // each may take the window of zstd
  std::atomic<unsigned> sent = 0;
  std::atomic<unsigned> there = 0;

  void send_blob(const Descriptor& blob, const std::string& label, const std::stop_token& stop) {
    const auto task = progress.begin(label + " " + blob.digest.short_hex(), blob.size);
    if (is_unseen(blob.digest)) bring(blob, stop);
    require_layers(blob);
    const std::vector<std::string> places = places_of(blob.digest);
    const bool is_expected = std::find(places.begin(), places.end(), client.repository()) != places.end();
    const bool is_under_way = notes.upload(client.repository(), blob.digest).has_value();
    Mounted mounted;
    if (!is_expected && !is_under_way && !places.empty())
      mounted = try_mount(client, notes, blob.digest, places.back(), stop);
    if (mounted.is_done || is_there_already(client, blob, mounted.begun, stop)) {
      ++there;
      return task->done(mounted.is_done ? "mounted from " + places.back() : "already there");
    }
    bring(blob, stop);
    require_layers(blob);
    BlobReader reader(store.blobs(), blob, *task);
    BlobUpload(client, notes, blob, chunk, stop).send(reader, std::move(mounted.begun));
    ++sent;
    task->done("pushed");
  }

 private:
  /// Throws when the blob, where it is here, is not the layer that the image says.
  void require_layers(const Descriptor& blob) {
    const auto found = layers.find(blob.digest);
    if (found == layers.end() || layerstore::media_type::is_foreign(blob.media_type)) return;
    for (const Digest& diff_id : found->second) {
      if (store.layers().is_from(diff_id, blob) || !store.blobs().has(blob.digest)) continue;
      const Slots::Taken turn = checks.take();
      layerstore::require_pair(store, blob, diff_id);
    }
  }

  /// The record of a blob that is not here, where it speaks of the layer that the image says.
  std::optional<layerstore::AbsentBlob> absent_of(const Digest& blob) const {
    const auto absent = store.blobs().has(blob) ? std::nullopt : store.absent().find(blob);
    const auto layer = layers.find(blob);
    const bool is_same =
        absent && layer != layers.end() && layer->second == std::set<Digest>{absent->diff_id};
    return is_same ? absent : std::nullopt;
  }

  /// Whether the blob is not here, and that it is the layer which the image says is not this registry's own
  /// word: one that was left here goes on unseen, for a manifest of this registry has the same pair.
  bool is_unseen(const Digest& blob) const {
    return !store.blobs().has(blob) && store.absent().find(blob) && places_of(blob).empty();
  }

  /// The repositories of this registry where the blob was seen, the newest last. Of one that is not here
  /// those in which it was left as the layer that the image says.
  std::vector<std::string> places_of(const Digest& blob) const {
    if (store.blobs().has(blob)) return notes.repositories_of(blob);
    std::vector<std::string> places;
    const auto absent = absent_of(blob);
    if (!absent) return places;
    for (const std::string& origin : absent->origins) {
      const Reference place = plan_target(read_registries_conf(), parse_reference(origin)).reference;
      if (place.domain == client.domain()) places.push_back(place.repository);
    }
    return places;
  }

  /// What a pull had left elsewhere. Whom the user's credentials are for is this registry.
  void bring(const Descriptor& blob, const std::stop_token& stop) const {
    if (store.blobs().has(blob.digest)) return;
    const auto absent = store.absent().find(blob.digest);
    if (!absent) return;
    const auto connection = [&](const std::string& domain) {
      if (domain == request.reference.domain) return request.connection;
      return Connection{.authfile = request.connection.authfile,
                        .patience = request.connection.patience,
                        .token_servers = request.connection.token_servers};
    };
    fetch_absent(store, *absent, {.connection = connection, .tell = request.tell, .stop = stop}, progress);
  }
};

void send_layers(Push& push, const Manifest& manifest, unsigned parallel) {
  std::vector<std::function<void(const std::stop_token&)>> jobs;
  std::set<Digest> seen;  // one layer may occur twice in a stack
  for (const Descriptor& layer : manifest.layers)
    if (seen.insert(layer.digest).second)
      jobs.emplace_back([&](const std::stop_token& stop) { push.send_blob(layer, "layer", stop); });
  run_parallel(jobs, parallel);
}

/// Throws when the config cannot be read, or lists other layers than the manifest.
LayersOfBlobs layers_of(const Store& store, const Descriptor& descriptor, const Manifest& manifest) {
  LayersOfBlobs layers;
  if (!layerstore::media_type::is_config(manifest.config.media_type)) return layers;
  const layerstore::Image image = store.load(descriptor);
  for (std::size_t i = 0; i < image.manifest.layers.size(); ++i)
    layers[image.manifest.layers[i].digest].insert(image.config.diff_ids.at(i));
  return layers;
}

std::set<Digest> blobs_of(const Manifest& manifest) {
  std::set<Digest> blobs{manifest.config.digest};
  for (const Descriptor& layer : manifest.layers) blobs.insert(layer.digest);
  return blobs;
}

/// What the manifest is put under: the tag; the digest when the name has no tag.
std::string selector_for(const Reference& reference, const Digest& manifest) {
  if (reference.digest && *reference.digest != manifest)
    throw Error::make(Errc::invalid, "the name asks for {}, but the image is {}",
                      reference.digest->to_string(), manifest.to_string())
        .with_hint("push it to a tag");
  return reference.tag.empty() ? manifest.to_string() : reference.tag;
}

/// Where the manifest is put. Under a tag a registry keeps it by its sha256 alone: so that another digest,
/// which is what the user is told, leads to it as well, it is put under that too.
std::vector<std::string> places_for(const Reference& reference, const Digest& manifest) {
  std::vector<std::string> places{selector_for(reference, manifest)};
  if (manifest.algorithm() != layerstore::DigestAlgorithm::sha256 && places.front() != manifest.to_string())
    places.insert(places.begin(), manifest.to_string());
  return places;
}

}  // namespace

PushResult push(const Store& store, const Descriptor& manifest, const PushRequest& request,
                Progress& progress) {
  const std::string selector = selector_for(request.reference, manifest.digest);
  const FileLock reading = store.share();  // nothing that is being sent may be collected
  const std::string bytes = store.blobs().read(manifest.digest);
  if (layerstore::classify_document(bytes, manifest.media_type) != layerstore::DocumentKind::manifest)
    throw Error(Errc::unsupported, "an index of several images can not be pushed, only the manifest of one");
  const Manifest parsed = layerstore::parse_manifest(bytes);

  const ImageSource target = plan_target(request.connection.conf.get(), request.reference);
  const RegistryClient client(target.reference, Access::push,
                              connection_to(target, request.reference.domain, request.connection));
  const TransferNotes notes(store.path(), client.domain());
  const std::set<Digest> blobs = blobs_of(parsed);
  if (client.keeps_manifest(selector, manifest.digest))  // and so all it leads to
    return {.manifest = manifest.digest, .blobs_there = static_cast<unsigned>(blobs.size())};
  const LayersOfBlobs layers = layers_of(store, manifest, parsed);
  Push push{.store = store,
            .client = client,
            .notes = notes,
            .progress = progress,
            .request = request,
            .layers = layers};
  send_layers(push, parsed, request.parallel);
  push.send_blob(parsed.config, "config", {});
  const Descriptor sent{.media_type = parsed.media_type, .digest = manifest.digest, .size = bytes.size()};
  for (const std::string& place : places_for(request.reference, manifest.digest))
    client.put_manifest(place, sent, bytes);
  notes.remember(client.repository(), blobs);
  return {.manifest = manifest.digest, .blobs_sent = push.sent, .blobs_there = push.there};
}

}  // namespace lay::registry
