#include "layerstore/manifest.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "images/annotations.h"
#include "layerstore/media_types.h"
#include "layerstore/platform_rank.h"

namespace lay::layerstore {

namespace {

bool has(const Json& json, const char* key) {
  return json_find(json, key) != nullptr;
}

std::string_view name_of(DocumentKind kind) {
  return kind == DocumentKind::manifest ? "manifest" : "index";
}

bool is_type_of(DocumentKind kind, std::string_view type) {
  return kind == DocumentKind::manifest ? media_type::is_manifest(type) : media_type::is_index(type);
}

void require_version_2(const Json& json) {
  const std::int64_t version = json_int(json, "schemaVersion");
  if (version == 1 || has(json, "fsLayers"))
    throw Error::make(Errc::invalid, "a Docker manifest of schema 1, expected schema 2 or OCI")
        .with_hint("push the image again with a tool of this decade");
  if (version != 2) throw Error::make(Errc::invalid, "'schemaVersion' is {}, expected 2", version);
}

/// What its members make the document; one that could be read as both is none (CVE-2021-41190).
DocumentKind kind_of(const Json& json) {
  require_version_2(json);
  const bool manifest = has(json, "config") || has(json, "layers");
  const bool index = has(json, "manifests");
  if (manifest && index)
    throw Error::make(Errc::invalid, "holds 'manifests' as well as 'config' or 'layers', so it is ambiguous");
  if (!manifest && !index)
    throw Error::make(Errc::invalid, "neither 'manifests' nor 'config' and 'layers' are there");
  return manifest ? DocumentKind::manifest : DocumentKind::index;
}

/// The document's own media type, the OCI one when it names none; throws when it is not of `kind`.
std::string own_media_type(const Json& json, DocumentKind kind) {
  const std::string_view fallback =
      kind == DocumentKind::manifest ? media_type::kManifest : media_type::kIndex;
  std::string type = json_string_or(json, "mediaType", std::string(fallback));
  if (!is_type_of(kind, type))
    throw Error::make(Errc::invalid, "'mediaType' is '{}', but the members are those of a{} {}",
                      printable(std::string_view(type).substr(0, 100)),
                      kind == DocumentKind::index ? "n" : "", name_of(kind));
  return type;
}

/// "type/subtype; charset=utf-8" without the parameter; empty for types that say nothing about the content.
std::string_view specific_type(std::string_view content_type) {
  std::string_view type = content_type.substr(0, content_type.find(';'));
  while (!type.empty() && type.back() == ' ') type.remove_suffix(1);
  const bool unspecific =
      type == "application/json" || type == "text/plain" || type == "application/octet-stream";
  return unspecific ? std::string_view() : type;
}

std::vector<Descriptor> parse_descriptors(const Json& json, const char* key, std::size_t limit) {
  if (!has(json, key)) throw Error::make(Errc::invalid, "'{}' is missing", key);
  const Json& list = json_array(json, key);
  if (list.size() > limit)
    throw Error::make(Errc::invalid, "'{}' holds {} entries, expected at most {}", key, list.size(), limit);
  std::vector<Descriptor> result;
  result.reserve(list.size());
  for (const Json& item : list)
    result.push_back(
        with_context(fmt::format("{}[{}]", key, result.size()), [&] { return parse_descriptor(item); }));
  return result;
}

/// One content cannot be two things, nor have two lengths.
void require_consistent(const std::vector<Descriptor>& entries) {
  std::map<Digest, const Descriptor*> seen;
  for (const Descriptor& entry : entries) {
    const auto [it, fresh] = seen.emplace(entry.digest, &entry);
    if (fresh || (it->second->media_type == entry.media_type && it->second->size == entry.size)) continue;
    throw Error::make(Errc::invalid, "{} is listed with two media types or sizes", entry.digest.to_string());
  }
}

Json descriptors_json(const std::vector<Descriptor>& descriptors) {
  Json list = Json::array();
  for (const Descriptor& descriptor : descriptors) list.push_back(to_json(descriptor));
  return list;
}

/// Foreign layers stay foreign: OCI calls them nondistributable.
std::string oci_layer_type(const std::string& type) {
  constexpr std::string_view kDockerForeign = "application/vnd.docker.image.rootfs.foreign.diff.tar";
  const std::string nondistributable = "application/vnd.oci.image.layer.nondistributable.v1.tar";
  if (!media_type::is_foreign(type))
    return std::string(media_type::layer_type_of(media_type::compression_of(type)));
  if (!type.starts_with(kDockerForeign)) return type;
  return type == kDockerForeign ? nondistributable : nondistributable + "+gzip";
}

}  // namespace

DocumentKind classify_document(std::string_view text, std::string_view content_type) {
  const Json json = parse_json(text, "manifest");
  return with_context("manifest", [&] {
    const DocumentKind kind = kind_of(json);
    const std::string own = own_media_type(json, kind);
    const std::string_view said = specific_type(content_type);
    const bool agrees = said.empty() || (has(json, "mediaType") ? said == own : is_type_of(kind, said));
    if (!agrees)
      throw Error::make(Errc::invalid, "announced as '{}', but the document is '{}'",
                        printable(said.substr(0, 100)), own);
    return kind;
  });
}

Manifest parse_manifest(std::string_view text) {
  const Json json = parse_json(text, "manifest");
  return with_context("manifest", [&] {
    if (kind_of(json) != DocumentKind::manifest)
      throw Error::make(Errc::invalid, "an index, expected the manifest of one image");
    const Json* config = json_find(json, "config");
    if (config == nullptr) throw Error::make(Errc::invalid, "'config' is missing");
    Manifest result{.media_type = own_media_type(json, DocumentKind::manifest),
                    .config = with_context("config", [&] { return parse_descriptor(*config); }),
                    .layers = parse_descriptors(json, "layers", kMaxLayers),
                    .annotations = parse_string_map(json, "annotations")};
    require_consistent(result.layers);
    return result;
  });
}

Index parse_index(std::string_view text) {
  const Json json = parse_json(text, "index");
  return with_context("index", [&] {
    if (kind_of(json) != DocumentKind::index)
      throw Error::make(Errc::invalid, "the manifest of one image, expected an index");
    Index result{.media_type = own_media_type(json, DocumentKind::index),
                 .manifests = parse_descriptors(json, "manifests", kMaxIndexEntries),
                 .annotations = parse_string_map(json, "annotations")};
    require_consistent(result.manifests);
    return result;
  });
}

Manifest with_oci_types(Manifest manifest) {
  if (manifest.media_type == media_type::kManifest) return manifest;
  manifest.media_type = media_type::kManifest;
  manifest.config.media_type = media_type::kConfig;
  for (Descriptor& layer : manifest.layers) layer.media_type = oci_layer_type(layer.media_type);
  return manifest;
}

std::string write_manifest(const Manifest& manifest) {
  Json json{{"schemaVersion", 2},
            {"mediaType", manifest.media_type},
            {"config", to_json(manifest.config)},
            {"layers", descriptors_json(manifest.layers)}};
  if (!manifest.annotations.empty()) json["annotations"] = manifest.annotations;
  return dump_json(json);
}

std::string write_index(const Index& index) {
  Json json{{"schemaVersion", 2},
            {"mediaType", index.media_type},
            {"manifests", descriptors_json(index.manifests)}};
  if (!index.annotations.empty()) json["annotations"] = index.annotations;
  return dump_json(json);
}

const Descriptor& choose_platform(const Index& index, const Platform& wanted) {
  std::vector<std::string> offered;
  const Descriptor* best = nullptr;
  std::uint64_t best_rank = 0;
  for (const Descriptor& entry : index.manifests) {
    if (!entry.platform) continue;
    offered.push_back(printable(to_string(*entry.platform)));
    const auto found = platform_rank(*entry.platform, wanted);
    if (!found || (best != nullptr && *found <= best_rank)) continue;
    best = &entry;
    best_rank = *found;
  }
  if (best != nullptr) return *best;
  // Nobody says for which machine they are: the config of the first does.
  if (offered.empty() && !index.manifests.empty()) return index.manifests.front();
  throw Error::make(Errc::not_found, "no image for {}; there is: {}", to_string(wanted),
                    offered.empty() ? "none" : join(offered, ", "));
}

}  // namespace lay::layerstore
