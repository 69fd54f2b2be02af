#include "registry/relay.h"

#include <atomic>
#include <functional>
#include <optional>
#include <set>
#include <vector>

#include "base/error.h"
#include "client/client.h"
#include "client/upload.h"
#include "layerstore/manifest.h"
#include "layerstore/media_types.h"
#include "names/policy.h"
#include "registry/registries_conf.h"
#include "transfer/image_check.h"
#include "transfer/origin.h"
#include "transfer/parallel.h"
#include "transfer/relay_source.h"
#include "transfer/transfer_notes.h"

namespace lay::registry {

namespace {

using layerstore::Descriptor;
using layerstore::Digest;
using layerstore::DocumentKind;
using layerstore::Store;

/// What one copy shares between its threads.
struct Relay {
  const Store& store;
  const RelaySource& source;
  const RegistryClient& target;
  const TransferNotes& notes;
  const RelayLimits limits;
  Progress& progress;
  ChunkSize chunk{limits.chunk};
  std::set<Digest> seen{};  ///< documents and blobs; of the first thread
  layerstore::DocumentBudget budget{};
  std::atomic<unsigned> sent = 0;
  std::atomic<unsigned> there = 0;

  /// Sends all that `document` leads to, and returns as what it is to be put itself.
  Descriptor send_parts(const Document& document, int depth);

 private:
  void send_entries(const layerstore::Index& index, int depth);
  void send_blobs(const std::vector<Descriptor>& blobs);
  void send_blob(const Descriptor& blob, const std::stop_token& stop);
  bool is_new(const Digest& digest);
};

Descriptor Relay::send_parts(const Document& document, int depth) {
  const layerstore::DocumentBudget::Held held = budget.hold(document.bytes.size());
  const auto kind = layerstore::classify_document(document.bytes, document.content_type);
  Descriptor sent_as{.media_type = "", .digest = document.digest, .size = document.bytes.size()};
  if (kind == DocumentKind::index) {
    const layerstore::Index index = layerstore::parse_index(document.bytes);
    send_entries(index, depth + 1);
    sent_as.media_type = index.media_type;
  } else {
    const layerstore::Manifest manifest = layerstore::parse_manifest(document.bytes);
    std::vector<Descriptor> blobs = manifest.layers;
    blobs.push_back(manifest.config);
    send_blobs(blobs);
    sent_as.media_type = manifest.media_type;
  }
  return sent_as;
}

bool Relay::is_new(const Digest& digest) {
  if (!seen.insert(digest).second) return false;
  budget.count_part();
  return true;
}

/// A registry takes no manifest without its blobs, but some take an index before what it lists: that such a
/// one is there says nothing of its entries.
void Relay::send_entries(const layerstore::Index& index, int depth) {
  if (depth >= layerstore::kMaxIndexDepth)
    throw Error::make(Errc::invalid, "indexes stand in one another more than {} deep",
                      layerstore::kMaxIndexDepth);
  std::vector<Descriptor> blobs;
  for (const Descriptor& entry : index.manifests) {
    if (layerstore::is_blob(entry)) {
      blobs.push_back(entry);
      continue;
    }
    const std::string digest = entry.digest.to_string();
    if (!is_new(entry.digest)) continue;
    const bool is_there = target.keeps_manifest(digest, entry.digest);
    if (is_there && layerstore::media_type::is_manifest(entry.media_type)) continue;
    const Document document = source.get_document(entry);
    const Descriptor sent_as = send_parts(document, depth);
    if (!is_there) target.put_manifest(digest, sent_as, document.bytes);
  }
  send_blobs(blobs);
}

void Relay::send_blobs(const std::vector<Descriptor>& blobs) {
  std::vector<std::function<void(const std::stop_token&)>> jobs;
  for (const Descriptor& blob : blobs)
    if (is_new(blob.digest))
      jobs.emplace_back([this, &blob](const std::stop_token& stop) { send_blob(blob, stop); });
  run_parallel(jobs, limits.parallel);
}

void Relay::send_blob(const Descriptor& blob, const std::stop_token& stop) {
  const auto task = progress.begin("blob " + blob.digest.short_hex(), blob.size);
  if (layerstore::media_type::is_foreign(blob.media_type) && !source.has_blob(blob.digest, stop))
    return task->done("kept outside the registries");
  Mounted mounted;
  const std::string near = source.repository_at(target.domain());
  const bool is_near = !near.empty() && near != target.repository();
  const bool is_under_way = notes.upload(target.repository(), blob.digest).has_value();
  if (is_near && !is_under_way) mounted = try_mount(target, notes, blob.digest, near, stop);
  if (mounted.is_done || is_there_already(target, blob, mounted.begun, stop)) {
    ++there;
    return task->done(mounted.is_done ? "mounted from " + near : "already there");
  }
  source.fetch(blob, stop);
  BlobReader reader(store.blobs(), blob, *task);
  BlobUpload(target, notes, blob, chunk, stop).send(reader, std::move(mounted.begun));
  ++sent;
  task->done("copied");
}

/// Under a tag a registry keeps a document by its sha256 alone.
void send_root(Relay& relay, const Document& root, const Reference& target) {
  const std::string digest = root.digest.to_string();
  if (target.digest && *target.digest != root.digest)
    throw Error::make(Errc::invalid, "the name asks for {}, but the source is {}", target.digest->to_string(),
                      digest)
        .with_hint("copy it to a tag");
  const std::string selector = target.tag.empty() ? digest : target.tag;
  const bool is_there = relay.target.keeps_manifest(selector, root.digest);
  const auto kind = layerstore::classify_document(root.bytes, root.content_type);
  if (is_there && kind == DocumentKind::manifest) return;
  const Descriptor sent_as = relay.send_parts(root, 0);
  if (is_there) return;
  const bool is_sha256 = root.digest.algorithm() == layerstore::DigestAlgorithm::sha256;
  if (!is_sha256 && selector != digest) relay.target.put_manifest(digest, sent_as, root.bytes);
  relay.target.put_manifest(selector, sent_as, root.bytes);
}

/// Sends `root`, as `source` has it, to the registry of `target`.
PushResult send_all(const Store& store, const RelaySource& source, const Document& root,
                    const RelayTarget& target, Progress& progress) {
  const ImageSource place = plan_target(target.connection.conf.get(), target.reference);
  const RegistryClient client(place.reference, Access::push,
                              connection_to(place, target.reference.domain, target.connection));
  const TransferNotes notes(store.path(), client.domain());
  Relay relay{.store = store,
              .source = source,
              .target = client,
              .notes = notes,
              .limits = target.limits,
              .progress = progress};
  send_root(relay, root, target.reference);
  return {.manifest = root.digest, .blobs_sent = relay.sent, .blobs_there = relay.there};
}

/// False for one that the source has not itself.
bool take_blob(const RegistrySource& source, const Descriptor& blob, Progress& progress,
               const std::stop_token& stop) {
  const auto task = progress.begin("blob " + blob.digest.short_hex(), blob.size);
  if (layerstore::media_type::is_foreign(blob.media_type) && !source.has_blob(blob.digest, stop)) {
    task->done("kept outside the registries");
    return false;
  }
  source.fetch(blob, *task, stop);
  task->done("copied");
  return true;
}

/// Brings `blobs` into the store; those that the source has not itself are left out of them.
void take_blobs(const RegistrySource& source, std::vector<Descriptor>& blobs, Progress& progress) {
  std::vector<char> taken(blobs.size());  // bools would share bytes between threads
  std::vector<std::function<void(const std::stop_token&)>> jobs;
  for (std::size_t i = 0; i < blobs.size(); ++i)
    jobs.emplace_back([&, i](const std::stop_token& stop) {
      taken[i] = take_blob(source, blobs[i], progress, stop) ? 1 : 0;
    });
  run_parallel(jobs, RelayLimits{}.parallel);
  std::size_t at = 0;
  std::erase_if(blobs, [&](const Descriptor&) { return taken[at++] == 0; });
}

}  // namespace

PushResult relay(const Store& store, const Reference& source, const Connection& connection,
                 const RelayTarget& target, Progress& progress) {
  require_accepted(source);
  const Origin origin = find_document(source, connection);
  return send_all(store, RegistrySource(*origin.client, store), origin.document, target, progress);
}

PushResult relay_image(const Store& store, const Reference& source, const layerstore::Platform& platform,
                       const Connection& connection, const RelayTarget& target, Progress& progress) {
  require_accepted(source);
  const Origin origin = find_origin(source, platform, connection);
  const layerstore::Manifest manifest = layerstore::parse_manifest(origin.document.bytes);
  check_manifest(manifest);
  check_config(layerstore::parse_image_config(origin.client->read_blob(manifest.config)), manifest, platform);
  return send_all(store, RegistrySource(*origin.client, store), origin.document, target, progress);
}

layerstore::WholeImage pull_whole(const Store& store, const Reference& source, const Connection& connection,
                                  Progress& progress) {
  require_accepted(source);
  const Origin origin = find_document(source, connection);
  const RegistrySource there(*origin.client, store);
  const auto kind = layerstore::classify_document(origin.document.bytes, origin.document.content_type);
  const std::string& bytes = origin.document.bytes;
  const Descriptor root{.media_type = kind == DocumentKind::index
                                          ? layerstore::parse_index(bytes).media_type
                                          : layerstore::parse_manifest(bytes).media_type,
                        .digest = origin.document.digest,
                        .size = bytes.size()};
  layerstore::WholeImage whole = layerstore::find_parts(root, [&](const Descriptor& document) {
    std::string text = document.digest == root.digest ? bytes : there.get_document(document).bytes;
    layerstore::put_verified(store, document, text);
    return text;
  });
  take_blobs(there, whole.blobs, progress);
  return whole;
}

PushResult push_whole(const Store& store, const layerstore::WholeImage& whole, const RelayTarget& target,
                      Progress& progress) {
  const StoreSource here(store);
  return send_all(store, here, here.get_document(whole.root), target, progress);
}

}  // namespace lay::registry
