#include "images/image_view.h"

#include <map>
#include <numeric>
#include <set>

#include "base/error.h"
#include "registry/reference.h"

namespace lay::cli {

namespace {

using layerstore::NamedImage;

/// What an image's config leaves out when it is not set, and scripts ask for all the same.
Json with_unset(Json config) {
  for (const char* list : {"Env", "Cmd", "Entrypoint", "Labels", "ExposedPorts", "Volumes"})
    if (!config.contains(list)) config[list] = nullptr;
  for (const char* text : {"User", "WorkingDir", "StopSignal"})
    if (!config.contains(text)) config[text] = "";
  return config;
}

bool is_same_image(const layerstore::Store& store, const NamedImage& named, const layerstore::Image& image) {
  if (named.manifest.digest == image.descriptor.digest) return true;
  try {
    const std::string bytes = store.blobs().read(named.manifest.digest);
    return layerstore::parse_manifest(bytes).config.digest == image.id();
  } catch (const Error& error) {
    if (error.code() == Errc::cancelled) throw;
    return false;
  }
}

Json tags_of(const std::vector<NamedImage>& names) {
  Json tags = Json::array();
  for (const NamedImage& named : names)
    if (named.name.find('@') == std::string::npos) tags.push_back(named.name);
  return tags;
}

Json digests_of(const std::vector<NamedImage>& names) {
  std::set<std::string> digests;
  for (const NamedImage& named : names)
    digests.insert(split_name(named.name).repository + "@" + named.manifest.digest.to_string());
  return Json(digests);
}

}  // namespace

SplitName split_name(const std::string& name) {
  const std::size_t digest = name.find('@');
  const std::string without = name.substr(0, digest);
  const std::size_t slash = without.rfind('/');
  const std::size_t colon = without.rfind(':');
  const bool has_tag = colon != std::string::npos && (slash == std::string::npos || colon > slash);
  const std::string tag = has_tag ? without.substr(colon + 1) : "latest";
  return {has_tag ? without.substr(0, colon) : without, digest == std::string::npos ? tag : "<none>"};
}

std::uint64_t stored_size(const layerstore::Image& image) {
  return std::accumulate(
      image.manifest.layers.begin(), image.manifest.layers.end(), std::uint64_t{0},
      [](std::uint64_t sum, const layerstore::Descriptor& layer) { return sum + layer.size; });
}

std::vector<NamedImage> names_of(const layerstore::Store& store, const layerstore::Image& image) {
  std::vector<NamedImage> names;
  std::map<layerstore::Digest, bool> is_same;  // each manifest is read once, however many names it has
  for (NamedImage& named : store.images().list()) {
    const auto [known, is_new] = is_same.try_emplace(named.manifest.digest, false);
    if (is_new) known->second = is_same_image(store, named, image);
    if (known->second) names.push_back(std::move(named));
  }
  return names;
}

Json describe_image(const FoundImage& found, const std::vector<NamedImage>& names) {
  const layerstore::Image& image = found.image;
  Json layers = Json::array();
  for (const layerstore::Descriptor& layer : image.manifest.layers) layers.push_back(to_json(layer));
  std::vector<std::string> diff_ids;
  for (const layerstore::Digest& diff_id : image.config.diff_ids) diff_ids.push_back(diff_id.to_string());
  Json config = parse_json(layerstore::write_image_config(image.config), "image config");
  return Json{
      {"Id", image.id().to_string()},
      {"Name", found.name},
      {"RepoTags", tags_of(names)},
      {"RepoDigests", digests_of(names)},
      {"Digest", image.descriptor.digest.to_string()},
      {"MediaType", image.manifest.media_type},
      {"Created", image.config.created},
      {"Author", image.config.author},
      {"Os", image.config.os},
      {"Architecture", image.config.architecture},
      {"Variant", image.config.variant},
      {"Size", stored_size(image)},
      {"VirtualSize", stored_size(image)},
      {"Config", with_unset(config.value("config", Json::object()))},
      {"RootFS", {{"Type", "layers"}, {"Layers", diff_ids}}},
      {"Layers", layers},
      {"History", config.value("history", Json::array())},
  };
}

}  // namespace lay::cli
