#include "archive/archive_docker.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "archive/archive_writer.h"
#include "base/error.h"
#include "base/json.h"
#include "base/pipeline.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "images/new_image.h"
#include "layers/layer_tar.h"
#include "layerstore/image_config.h"
#include "layerstore/media_types.h"

namespace lay::layerstore {

namespace {

constexpr const char* kConfigSuffix = ".json";
constexpr const char* kLayerSuffix = ".tar";

/// One element of manifest.json.
struct Listed {
  std::string config;
  std::vector<std::string> tags;
  std::vector<std::string> layers;  ///< lowest first
};

void require_at_most(std::size_t count, std::size_t limit, std::string_view what) {
  if (count > limit) throw Error::make(Errc::invalid, "{} {}, expected at most {}", count, what, limit);
}

std::vector<Listed> parse_listed(const std::string& text) {
  const Json json = parse_json(text, "read");
  if (!json.is_array()) throw Error(Errc::invalid, "it is no list");
  require_at_most(json.size(), kMaxIndexEntries, "images");
  std::vector<Listed> listed;
  for (const Json& item : json) {
    listed.push_back(
        {.config = json_string(item, "Config"),
         .tags = json_strings(item, "RepoTags"),
         .layers = json_find(item, "Layers") ? json_strings(item, "Layers") : std::vector<std::string>()});
    require_at_most(listed.back().layers.size(), kMaxLayers, "layers");
    require_at_most(listed.back().tags.size(), kMaxIndexEntries, "names");
  }
  return listed;
}

void save_layer(const Store& store, const Descriptor& blob, const Digest& diff_id, ArchiveWriter& archive,
                Progress& progress) {
  with_context(fmt::format("layer {}", diff_id.to_string()), [&] {
    const LayerTar layer(store, blob, diff_id);
    const std::uint64_t size = layer.size();
    const auto task = progress.begin("layer " + diff_id.short_hex(), size);
    layer.read([&](ByteSource& tar) {
      ProgressSource counted(tar, *task);
      archive.add_stream(diff_id.hex() + kLayerSuffix, size, counted);
    });
    task->done("saved");
  });
}

/// The images by their ids: two manifests of one config are the same image here.
std::map<Digest, ArchivedImage> by_id(std::span<const ArchivedImage> images) {
  std::map<Digest, ArchivedImage> sorted;
  for (const ArchivedImage& archived : images) {
    auto& names = sorted.emplace(archived.image.id(), archived).first->second.names;
    names.insert(names.end(), archived.names.begin(), archived.names.end());
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
  }
  return sorted;
}

std::string write_listed(const std::map<Digest, ArchivedImage>& images) {
  Json list = Json::array();
  for (const auto& [id, archived] : images) {
    Json tags = Json::array();
    for (const ArchiveName& name : archived.names) tags.push_back(name.name);
    Json layers = Json::array();
    for (const Digest& diff_id : archived.image.config.diff_ids)
      layers.push_back(diff_id.hex() + kLayerSuffix);
    list.push_back({{"Config", id.hex() + kConfigSuffix}, {"RepoTags", tags}, {"Layers", layers}});
  }
  return dump_json(list);
}

/// A config that is named by its digest has to be what its name says.
void check_config_name(const std::string& name, const Digest& digest) {
  const std::size_t slash = name.rfind('/');
  std::string hex = name.substr(slash == std::string::npos ? 0 : slash + 1);
  if (hex.ends_with(kConfigSuffix)) hex.resize(hex.size() - std::string_view(kConfigSuffix).size());
  const auto named = Digest::try_parse("sha256:" + hex);
  if (named && *named != digest)
    throw Error::make(Errc::corrupt, "config '{}': got {}", printable(name), digest.to_string());
}

/// Brings the images of manifest.json into the store.
class Loading {
 public:
  Loading(const Store& store, ArchiveMembers& members, const KnownBlobs& known, Progress& progress)
      : store_(store), members_(members), known_(known), progress_(progress) {}

  ArchivedImage add(const Listed& listed) {
    BlobWriter& writer = members_.file(listed.config);
    if (writer.digest().algorithm() != DigestAlgorithm::sha256)
      throw Error::make(Errc::unsupported, "config '{}' is not named by a sha256", printable(listed.config));
    check_config_name(listed.config, writer.digest());
    ImageConfig config = with_context(fmt::format("config '{}'", printable(listed.config)), [&] {
      return parse_image_config(sys::read_all(writer.open_written(), kMaxJsonBytes));
    });
    Manifest manifest{.media_type = std::string(media_type::kManifest),
                      .config = Descriptor{.media_type = std::string(media_type::kConfig),
                                           .digest = writer.digest(),
                                           .size = writer.size()}};
    manifest.layers = find_layers(listed, config);
    configs_.insert(&writer);
    const std::string text = write_manifest(manifest);
    Descriptor descriptor{.media_type = manifest.media_type, .digest = digest_of(text), .size = text.size()};
    manifests_.emplace(descriptor.digest, text);
    ArchivedImage archived{.image = Image{.descriptor = std::move(descriptor),
                                          .manifest = std::move(manifest),
                                          .config = std::move(config)}};
    for (const std::string& tag : listed.tags) archived.names.push_back({.name = tag});
    return archived;
  }

  /// Each after what it needs: the layers, the configs, the manifests.
  void publish() {
    for (const Digest& diff_id : layers_) members_.staged(diff_id)->commit();
    for (BlobWriter* const config : configs_) config->commit();
    for (const auto& [digest, text] : manifests_) store_.blobs().put(text, media_type::kManifest);
  }

 private:
  std::vector<Descriptor> find_layers(const Listed& listed, const ImageConfig& config) {
    if (listed.layers.size() != config.diff_ids.size())
      throw Error::make(Errc::invalid, "{} layers, but {} diff_ids", listed.layers.size(),
                        config.diff_ids.size());
    std::vector<Descriptor> layers;
    for (std::size_t i = 0; i < listed.layers.size(); ++i) {
      const Digest got = members_.layer(listed.layers[i], progress_);
      if (got != config.diff_ids[i])
        throw Error::make(Errc::corrupt, "layer '{}': got diff_id {}, expected {}",
                          printable(listed.layers[i]), got.to_string(), config.diff_ids[i].to_string());
      layers.push_back(blob_of(got));
    }
    return layers;
  }

  Descriptor blob_of(const Digest& diff_id) {
    if (auto known = known_.find(diff_id)) return std::move(*known);
    layers_.insert(diff_id);
    return members_.staged(diff_id)->tar().blob;
  }

  const Store& store_;
  ArchiveMembers& members_;
  const KnownBlobs& known_;
  Progress& progress_;
  std::set<Digest> layers_;  ///< diff_ids of staged ones
  std::set<BlobWriter*> configs_;
  std::map<Digest, std::string> manifests_;
};

}  // namespace

void save_docker_archive(const Store& store, std::span<const ArchivedImage> images, ByteSink& out,
                         Progress& progress) {
  const std::map<Digest, ArchivedImage> sorted = by_id(images);
  ArchiveWriter archive(out);
  // First, so that whoever reads the archive as a stream knows what is to come.
  archive.add_text(kDockerManifest, write_listed(sorted));
  std::map<Digest, const Descriptor*> layers;
  for (const auto& [id, archived] : sorted) {
    archive.add_text(id.hex() + kConfigSuffix, store.blobs().read(id));
    for (std::size_t i = 0; i < archived.image.config.diff_ids.size(); ++i)
      layers.emplace(archived.image.config.diff_ids[i], &archived.image.manifest.layers[i]);
  }
  for (const auto& [diff_id, blob] : layers) save_layer(store, *blob, diff_id, archive, progress);
  archive.finish();
}

std::vector<ArchivedImage> load_docker_archive(const Store& store, ArchiveMembers& members,
                                               const KnownBlobs& known, const JudgeImages& judge,
                                               Progress& progress) {
  Loading loading(store, members, known, progress);
  std::vector<ArchivedImage> images;
  with_context(kDockerManifest, [&] {
    for (const Listed& listed : parse_listed(members.document(kDockerManifest).value()))
      images.push_back(loading.add(listed));
  });
  judge(images);
  loading.publish();
  return images;
}

}  // namespace lay::layerstore
