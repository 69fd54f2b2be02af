#include <malloc.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/slots.h"
#include "base/text.h"
#include "blob_pieces.h"
#include "client.h"
#include "layerstore/commit.h"
#include "layerstore/media_types.h"
#include "layerstore/partial.h"
#include "origin.h"
#include "parallel.h"
#include "registry/transfer.h"
#include "transfer_notes.h"

namespace lay::registry {

namespace {

using layerstore::Descriptor;
using layerstore::Digest;
using layerstore::Image;
using layerstore::ImageConfig;
using layerstore::Manifest;
using layerstore::Platform;
using layerstore::Store;

/// Tells a task about the bytes that pass through.
class CountingSink final : public ByteSink {
 public:
  CountingSink(ByteSink& next, Progress::Task& task) : next_(next), task_(task) {}
  void write(std::span<const std::byte> bytes) override {
    next_.write(bytes);
    task_.advance(bytes.size());
  }

 private:
  ByteSink& next_;
  Progress::Task& task_;
};

/// Refuses what could not be run, before any layer is fetched.
void check_manifest(const Manifest& manifest) {
  if (!layerstore::media_type::is_config(manifest.config.media_type))
    throw Error::make(Errc::unsupported, "not a container image: its config is '{}'",
                      printable(manifest.config.media_type));
  for (const Descriptor& layer : manifest.layers) layerstore::media_type::compression_of(layer.media_type);
}

void check_config(const ImageConfig& config, const Manifest& manifest, const Platform& wanted) {
  if (config.diff_ids.size() != manifest.layers.size())
    throw Error::make(Errc::invalid, "the config lists {} layers, the manifest {}", config.diff_ids.size(),
                      manifest.layers.size());
  // Old and hand-made images may say nothing about their platform.
  const bool same_os = config.os.empty() || config.os == wanted.os;
  const bool same_architecture = config.architecture.empty() || config.architecture == wanted.architecture;
  if (same_os && same_architecture) return;
  const std::string offered = to_string(Platform{config.os, config.architecture, config.variant});
  throw Error::make(Errc::unsupported, "the image is for {}, expected {}", printable(offered),
                    to_string(wanted))
      .with_hint("ask for it with --platform " + printable(offered));
}

/// What takes memory: up to 14 MiB for each layer that is made (blocks between its threads, the window of
/// zstd), and two cores that hash and inflate have work enough from three; the tables of all the store's
/// blobs for each one that is put together. A layer that only comes in lies on disk.
struct LayerSlots {
  Slots makers{3};
  Slots partials{2};
};

void throw_if_stopped(const std::stop_token& stop) {
  if (stop.stop_requested()) throw Error(Errc::cancelled, "interrupted");
}

/// What another way to fetch does not help.
bool is_of_this_machine(const Error& error) {
  return error.code() == Errc::no_space || error.code() == Errc::io;
}

/// Puts a zstd:chunked layer together from what the store has and what it lacks. Returns how many bytes were
/// fetched; empty when the whole has to be, which may be right whatever was wrong with its parts.
std::optional<std::uint64_t> fetch_changes(const Store& store, const RegistryClient& client,
                                           const Descriptor& blob, const Digest& diff_id, LayerSlots& slots,
                                           const std::stop_token& stop) {
  if (!layerstore::PartialBlob::may_have_table(blob)) return std::nullopt;
  try {
    const Slots::Taken turn = slots.partials.take([&] { throw_if_stopped(stop); });
    BlobPieces pieces(client, blob, stop);
    const auto partial = layerstore::PartialBlob::plan(store, blob, pieces);
    if (!partial) return std::nullopt;
    layerstore::receive_layer(
        store, blob, diff_id, [&](std::uint64_t offset, ByteSink& out) { partial->write(offset, out); },
        slots.makers, [&] { throw_if_stopped(stop); });
    return partial->fetched();
  } catch (const Error& error) {
    if (error.code() == Errc::cancelled || is_of_this_machine(error)) throw;
    return std::nullopt;
  }
}

/// To look through it takes as much as to make it.
bool is_there(const Store& store, const Descriptor& blob, const Digest& diff_id, LayerSlots& slots,
              const std::stop_token& stop) {
  if (store.blobs().size(blob.digest) != blob.size) return false;
  const Slots::Taken turn = slots.makers.take([&] { throw_if_stopped(stop); });
  return layerstore::is_layer_stored(store, blob, diff_id);
}

void fetch_layer(const Store& store, const RegistryClient& client, const Descriptor& blob,
                 const Digest& diff_id, LayerSlots& slots, Progress& progress, const std::stop_token& stop) {
  const auto task = progress.begin("layer " + blob.digest.short_hex(), blob.size);
  if (is_there(store, blob, diff_id, slots, stop)) return task->done("already there");
  if (const auto fetched = fetch_changes(store, client, blob, diff_id, slots, stop))
    return task->done(fmt::format("pulled, {} % of it fetched", *fetched * 100 / blob.size));
  const auto fetch = [&](std::uint64_t offset, ByteSink& out) {
    task->advance(offset);
    CountingSink counted(out, *task);
    client.get_blob(blob, offset, counted, stop);
  };
  layerstore::receive_layer(store, blob, diff_id, fetch, slots.makers, [&] { throw_if_stopped(stop); });
  task->done("pulled");
}

/// All of them come at once, and are made a few at a time (LayerSlots).
void fetch_layers(const Store& store, const RegistryClient& client, const Image& image, unsigned parallel,
                  Progress& progress) {
  std::vector<std::function<void(const std::stop_token&)>> jobs;
  std::set<std::pair<Digest, Digest>> seen;  // one layer may occur twice in a stack
  LayerSlots slots;
  for (std::size_t i = 0; i < image.manifest.layers.size(); ++i) {
    const Descriptor& blob = image.manifest.layers[i];
    const Digest& diff_id = image.config.diff_ids[i];
    if (!seen.emplace(blob.digest, diff_id).second) continue;
    jobs.emplace_back([&](const std::stop_token& stop) {
      fetch_layer(store, client, blob, diff_id, slots, progress, stop);
    });
  }
  run_parallel(jobs, parallel);
}

/// For the whole process: the buffers of a layer that is done go back to the system. Otherwise glibc raises,
/// with the first of them, the size from which it does that, and keeps 8 MiB for each thread that has
/// inflated zstd: 144 MiB in all.
void map_large_buffers() {
  ::mallopt(M_MMAP_THRESHOLD, 128 * 1024);
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
  fetch_layers(store, client, image, request.parallel, progress);
  put_document(store, manifest.config, config);
  put_document(store, image.descriptor, document.bytes);
  if (!name.empty()) store.images().put(name, image.descriptor, request.reference.digest);
  remember_blobs(store, client, manifest);
  warn_of_moved_tag(client, request);  // last: it may wait for a registry that is busy
  return image;
}

}  // namespace lay::registry
