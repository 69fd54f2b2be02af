#include "registry/relay.h"

#include <atomic>
#include <functional>
#include <optional>
#include <set>
#include <vector>

#include "base/error.h"
#include "client/client.h"
#include "client/upload.h"
#include "layerstore/commit.h"
#include "layerstore/manifest.h"
#include "layerstore/media_types.h"
#include "registry/registries_conf.h"
#include "transfer/origin.h"
#include "transfer/parallel.h"
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
  const RegistryClient& source;
  const RegistryClient& target;
  const TransferNotes& notes;
  const RelayRequest& request;
  Progress& progress;
  std::set<Digest> seen{};  ///< documents and blobs; of the first thread
  std::atomic<unsigned> sent = 0;
  std::atomic<unsigned> there = 0;

  /// Sends all that `document` leads to, and returns as what it is to be put itself.
  Descriptor send_parts(const Document& document, int depth);

 private:
  void send_entries(const layerstore::Index& index, int depth);
  void send_blobs(const std::vector<Descriptor>& blobs);
  void send_blob(const Descriptor& blob, const std::stop_token& stop);
  void fetch(const Descriptor& blob, const std::stop_token& stop) const;
};

Descriptor Relay::send_parts(const Document& document, int depth) {
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

/// A registry takes no manifest without its blobs, but some take an index before what it lists: that such a
/// one is there says nothing of its entries.
void Relay::send_entries(const layerstore::Index& index, int depth) {
  if (depth >= layerstore::kMaxIndexDepth)
    throw Error::make(Errc::invalid, "indexes stand in one another more than {} deep",
                      layerstore::kMaxIndexDepth);
  std::vector<Descriptor> blobs;
  for (const Descriptor& entry : index.manifests) {
    if (is_blob(entry)) {
      blobs.push_back(entry);
      continue;
    }
    const std::string digest = entry.digest.to_string();
    if (!seen.insert(entry.digest).second) continue;
    const bool is_there = target.find_manifest(digest) == entry.digest;
    if (is_there && layerstore::media_type::is_manifest(entry.media_type)) continue;
    const Document document = source.get_manifest(digest, entry.digest);
    if (document.bytes.size() != entry.size)
      throw Error::make(Errc::corrupt, "manifest {}: got {} bytes, expected {}", digest,
                        document.bytes.size(), entry.size);
    const Descriptor sent_as = send_parts(document, depth);
    if (!is_there) target.put_manifest(digest, sent_as, document.bytes);
  }
  send_blobs(blobs);
}

void Relay::send_blobs(const std::vector<Descriptor>& blobs) {
  std::vector<std::function<void(const std::stop_token&)>> jobs;
  for (const Descriptor& blob : blobs)
    if (seen.insert(blob.digest).second)
      jobs.emplace_back([this, &blob](const std::stop_token& stop) { send_blob(blob, stop); });
  run_parallel(jobs, request.parallel);
}

void Relay::send_blob(const Descriptor& blob, const std::stop_token& stop) {
  const auto task = progress.begin("blob " + blob.digest.short_hex(), blob.size);
  if (layerstore::media_type::is_foreign(blob.media_type) && !source.has_blob(blob.digest, stop))
    return task->done("kept outside the registries");
  Mounted mounted;
  const bool is_near = source.domain() == target.domain() && source.repository() != target.repository();
  const bool is_under_way = notes.upload(target.repository(), blob.digest).has_value();
  if (is_near && !is_under_way) mounted = try_mount(target, blob.digest, source.repository(), stop);
  if (mounted.is_done || (!mounted.begun && target.has_blob(blob.digest, stop))) {
    ++there;
    return task->done(mounted.is_done ? "mounted from " + source.repository() : "already there");
  }
  fetch(blob, stop);
  BlobReader reader(store.blobs(), blob, *task);
  BlobUpload(target, notes, blob, request.chunk, stop).send(reader, std::move(mounted.begun));
  ++sent;
  task->done("copied");
}

void Relay::fetch(const Descriptor& blob, const std::stop_token& stop) const {
  if (store.blobs().is_whole(blob)) return;
  layerstore::receive_blob(
      store, blob, [&](std::uint64_t offset, ByteSink& out) { source.get_blob(blob, offset, out, stop); });
}

/// Under a tag a registry keeps a document by its sha256 alone.
void send_root(Relay& relay, const Document& root, const Reference& target) {
  const std::string digest = root.digest.to_string();
  if (target.digest && *target.digest != root.digest)
    throw Error::make(Errc::invalid, "the name asks for {}, but the source is {}", target.digest->to_string(),
                      digest)
        .with_hint("copy it to a tag");
  const std::string selector = target.tag.empty() ? digest : target.tag;
  const bool is_there = relay.target.find_manifest(selector) == root.digest;
  const auto kind = layerstore::classify_document(root.bytes, root.content_type);
  if (is_there && kind == DocumentKind::manifest) return;
  const Descriptor sent_as = relay.send_parts(root, 0);
  if (is_there) return;
  const bool is_sha256 = root.digest.algorithm() == layerstore::DigestAlgorithm::sha256;
  if (!is_sha256 && selector != digest) relay.target.put_manifest(digest, sent_as, root.bytes);
  relay.target.put_manifest(selector, sent_as, root.bytes);
}

}  // namespace

PushResult relay(const Store& store, const RelayRequest& request, Progress& progress) {
  const Origin origin = find_document(request.source, request.source_connection);
  const ImageSource place = plan_target(request.target_connection.conf.get(), request.target);
  const RegistryClient target(place.reference, Access::push,
                              connection_to(place, request.target.domain, request.target_connection));
  const TransferNotes notes(store.path(), target.domain());
  Relay relay{.store = store,
              .source = *origin.client,
              .target = target,
              .notes = notes,
              .request = request,
              .progress = progress};
  send_root(relay, origin.document, request.target);
  return {.manifest = origin.document.digest, .blobs_sent = relay.sent, .blobs_there = relay.there};
}

}  // namespace lay::registry
