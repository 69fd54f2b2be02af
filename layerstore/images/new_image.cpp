#include "images/new_image.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/text.h"
#include "layerstore/media_types.h"
#include "layerstore/recompress.h"

namespace lay::layerstore {

namespace {

ImageConfig new_config(const Platform& platform) {
  ImageConfig config;
  config.architecture = platform.architecture;
  config.os = platform.os;
  config.variant = platform.variant;
  return config;
}

std::size_t layers_in(const std::vector<History>& history) {
  return static_cast<std::size_t>(
      std::count_if(history.begin(), history.end(), [](const History& entry) { return !entry.empty_layer; }));
}

/// A clock would give the same upper another digest each time: an image is as old as the newest thing in it.
History plan_history(const CommitRequest& request, const WrittenLayer& layer) {
  // A tar may hold any time at all, system_clock only those until 2262.
  constexpr std::int64_t kLatest = 9'223'372'036;
  const std::int64_t newest = std::clamp<std::int64_t>(layer.stats.newest, 0, kLatest);
  History history = request.history;
  if (history.created.empty()) history.created = format_time(std::chrono::system_clock::from_time_t(newest));
  return history;
}

ImageConfig plan_config(const CommitRequest& request, const WrittenLayer& layer) {
  ImageConfig config = request.base ? request.base->config
                                    : new_config(request.platform ? *request.platform : host_platform());
  const History history = plan_history(request, layer);
  config.created = history.created;
  config.author = request.history.author;
  config.run = request.run;
  if (request.layering == Layering::in_place_of) {
    config.diff_ids.clear();
    config.history.clear();
  }
  // Readers pair history with layers by counting: a base that tells less than it holds is filled up first.
  while (layers_in(config.history) < config.diff_ids.size()) config.history.emplace_back();
  config.diff_ids.push_back(layer.diff_id);
  config.history.push_back(history);
  return config;
}

bool stands_on_base(const CommitRequest& request) {
  return request.base && request.layering == Layering::on_top;
}

/// A name may only become visible when everything it reaches is there, and a base may
/// be long gone from the store.
void require_base_layers(const Store& store, const CommitRequest& request) {
  if (!stands_on_base(request)) return;
  const Image& base = *request.base;
  for (std::size_t i = 0; i < base.manifest.layers.size(); ++i) {
    const Descriptor& layer = base.manifest.layers[i];
    if (!store.blobs().has(layer.digest) && !store.absent().has(layer, base.config.diff_ids[i]))
      throw Error::make(Errc::not_found, "layer {} of the base is not in the store", layer.digest.to_string())
          .with_hint("pull the base image again");
  }
}

/// A manifest may not list the types of the other format; the bytes, digest and size stay the same.
Descriptor as_layer_of(media_type::ManifestFormat format, Descriptor layer) {
  layer.media_type = media_type::layer_type_of(media_type::compression_of(layer.media_type), format);
  return layer;
}

std::vector<Descriptor> layers_below(const Store& store, const CommitRequest& request, Progress& progress) {
  if (!stands_on_base(request)) return {};
  if (!request.base_layers.empty()) return request.base_layers;
  return layers_for(store, *request.base, request.format, progress);
}

/// The base's annotations are not taken over: they describe that image (its
/// version, its source), not this one.
Manifest plan_manifest(media_type::ManifestFormat format, const Descriptor& config,
                       const std::vector<Descriptor>& layers) {
  const bool is_docker = format == media_type::ManifestFormat::docker;
  Manifest manifest{
      .media_type = std::string(is_docker ? media_type::kDockerManifest : media_type::kManifest),
      .config = config};
  for (const Descriptor& layer : layers) manifest.layers.push_back(as_layer_of(format, layer));
  if (manifest.layers.size() > kMaxLayers)
    throw Error::make(Errc::unsupported, "the image would have {} layers, expected at most {}",
                      manifest.layers.size(), kMaxLayers);
  return manifest;
}

}  // namespace

std::vector<Descriptor> layers_for(const Store& store, const Image& base, media_type::ManifestFormat format,
                                   Progress& progress) {
  if (format == media_type::ManifestFormat::oci) return base.manifest.layers;
  // Always: what else the store has must not decide what the same upper becomes.
  const Recompression for_docker{
      .options = {.compression = Compression::gzip}, .always = true, .only = Compression::zstd};
  return recompress_layers(store, base, for_docker, progress);
}

Image publish_image(const Store& store, const std::string& name, const CommitRequest& request,
                    const WrittenLayer& layer, Progress& progress) {
  require_base_layers(store, request);
  std::vector<Descriptor> layers = layers_below(store, request, progress);
  layers.push_back(layer.blob);
  const bool is_docker = request.format == media_type::ManifestFormat::docker;
  const std::string config = write_image_config(plan_config(request, layer));
  const Descriptor stored_config =
      store.blobs().put(config, is_docker ? media_type::kDockerConfig : media_type::kConfig);
  const Manifest planned = plan_manifest(request.format, stored_config, layers);
  const Descriptor stored_manifest = store.blobs().put(write_manifest(planned), planned.media_type);
  Image image = store.load(stored_manifest);  // before it has a name: what cannot be read again gets none
  store.images().put(name, stored_manifest);
  return image;
}

}  // namespace lay::layerstore
