#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "base/error.h"
#include "client.h"
#include "layerstore/manifest.h"
#include "parallel.h"
#include "registry/transfer.h"
#include "verified_source.h"

namespace lay::registry {

namespace {

using layerstore::Descriptor;
using layerstore::Digest;
using layerstore::Manifest;
using layerstore::Store;

/// What one push shares between its threads.
struct Push {
  const Store& store;
  const RegistryClient& client;
  Progress& progress;
  std::atomic<unsigned> sent = 0;
  std::atomic<unsigned> there = 0;

  void send_blob(const Descriptor& blob, const std::string& label, const std::stop_token& stop) {
    const auto task = progress.begin(label + " " + blob.digest.short_hex(), blob.size);
    if (client.has_blob(blob.digest, stop)) {
      ++there;
      return task->done("already there");
    }
    client.put_blob(
        blob, [&] { return std::make_unique<VerifiedSource>(store.blobs(), blob, *task); }, stop);
    ++sent;
    task->done("pushed");
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

/// What the manifest is put under: the tag; the digest when the name has no tag.
std::string selector_for(const Reference& reference, const Digest& manifest) {
  if (reference.digest && *reference.digest != manifest)
    throw Error::make(Errc::invalid, "the name asks for {}, but the image is {}",
                      reference.digest->to_string(), manifest.to_string())
        .with_hint("push it to a tag");
  return reference.tag.empty() ? manifest.to_string() : reference.tag;
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

  const RegistryClient client(request.reference, Access::push, request.connection);
  Push push{.store = store, .client = client, .progress = progress};
  send_layers(push, parsed, request.parallel);
  push.send_blob(parsed.config, "config", {});
  client.put_manifest(
      selector, {.media_type = parsed.media_type, .digest = manifest.digest, .size = bytes.size()}, bytes);
  return {.manifest = manifest.digest, .blobs_sent = push.sent, .blobs_there = push.there};
}

}  // namespace lay::registry
