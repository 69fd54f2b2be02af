#include "registry/relay.h"

#include <atomic>
#include <functional>
#include <optional>
#include <set>
#include <vector>

#include "base/error.h"
#include "client.h"
#include "layerstore/manifest.h"
#include "layerstore/media_types.h"
#include "origin.h"
#include "parallel.h"
#include "registry/registries_conf.h"
#include "transfer_notes.h"
#include "upload.h"

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

  void send(const Document& document, const std::string& selector, int depth);

 private:
  void send_entries(const layerstore::Index& index, int depth);
  void send_blobs(const layerstore::Manifest& manifest);
  void send_blob(const Descriptor& blob, const std::stop_token& stop);
  void fetch(const Descriptor& blob, const std::stop_token& stop) const;
};

void Relay::send(const Document& document, const std::string& selector, int depth) {
  const auto kind = layerstore::classify_document(document.bytes, document.content_type);
  Descriptor sent_as{.media_type = "", .digest = document.digest, .size = document.bytes.size()};
  if (kind == DocumentKind::index) {
    const layerstore::Index index = layerstore::parse_index(document.bytes);
    send_entries(index, depth + 1);
    sent_as.media_type = index.media_type;
  } else {
    const layerstore::Manifest manifest = layerstore::parse_manifest(document.bytes);
    send_blobs(manifest);
    sent_as.media_type = manifest.media_type;
  }
  target.put_manifest(selector, sent_as, document.bytes);
}

void Relay::send_entries(const layerstore::Index& index, int depth) {
  if (depth >= layerstore::kMaxIndexDepth)
    throw Error::make(Errc::invalid, "indexes stand in one another more than {} deep",
                      layerstore::kMaxIndexDepth);
  for (const Descriptor& entry : index.manifests) {
    const std::string digest = entry.digest.to_string();
    if (!seen.insert(entry.digest).second || target.find_manifest(digest) == entry.digest) continue;
    const Document document = source.get_manifest(digest, entry.digest);
    if (document.bytes.size() != entry.size)
      throw Error::make(Errc::corrupt, "manifest {}: got {} bytes, expected {}", digest,
                        document.bytes.size(), entry.size);
    send(document, digest, depth);
  }
}

void Relay::send_blobs(const layerstore::Manifest& manifest) {
  std::vector<std::function<void(const std::stop_token&)>> jobs;
  const auto add = [&](const Descriptor& blob) {
    if (seen.insert(blob.digest).second)
      jobs.emplace_back([this, &blob](const std::stop_token& stop) { send_blob(blob, stop); });
  };
  for (const Descriptor& layer : manifest.layers) add(layer);
  add(manifest.config);
  run_parallel(jobs, request.parallel);
}

void Relay::send_blob(const Descriptor& blob, const std::stop_token& stop) {
  const auto task = progress.begin("blob " + blob.digest.short_hex(), blob.size);
  if (layerstore::media_type::is_foreign(blob.media_type) && !source.has_blob(blob.digest, stop))
    return task->done("kept outside the registries");
  Mounted mounted;
  if (source.domain() == target.domain() && source.repository() != target.repository())
    mounted = try_mount(target, blob.digest, source.repository(), stop);
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
  layerstore::BlobWriter writer = store.blobs().begin(blob.digest.algorithm());
  source.get_blob(blob, 0, writer, stop);
  writer.commit(blob);
}

/// Under a tag a registry keeps a document by its sha256 alone.
void send_root(Relay& relay, const Document& root, const Reference& target) {
  const std::string digest = root.digest.to_string();
  if (target.digest && *target.digest != root.digest)
    throw Error::make(Errc::invalid, "the name asks for {}, but the source is {}", target.digest->to_string(),
                      digest)
        .with_hint("copy it to a tag");
  const std::string selector = target.tag.empty() ? digest : target.tag;
  if (relay.target.find_manifest(selector) == root.digest) return;  // and so all it leads to
  const bool is_sha256 = root.digest.algorithm() == layerstore::DigestAlgorithm::sha256;
  if (!is_sha256 && selector != digest) relay.send(root, digest, 0);
  relay.send(root, selector, 0);
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
