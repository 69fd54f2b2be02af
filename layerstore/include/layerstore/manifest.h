#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "layerstore/descriptor.h"

namespace lay::layerstore {

/// What is larger is refused: an overlay mount takes 500 layers, and no index of
/// the world has as many entries.
constexpr std::size_t kMaxLayers = 1000;
constexpr std::size_t kMaxIndexEntries = 10'000;
/// How deep an index may stand in indexes.
constexpr int kMaxIndexDepth = 8;

/// image-spec manifest.md; Docker schema 2 manifests are read into the same struct.
struct Manifest {
  std::string media_type;
  Descriptor config;
  std::vector<Descriptor> layers;  ///< lowest first
  std::map<std::string, std::string> annotations;
};

/// image-spec image-index.md; Docker manifest lists are read into the same struct.
struct Index {
  std::string media_type;
  std::vector<Descriptor> manifests;
  std::map<std::string, std::string> annotations;
};

enum class DocumentKind { manifest, index };

/// Which of the two a document is. `content_type` is what the registry or descriptor said, empty when
/// unknown. Throws invalid when document and content type disagree, when it could be read as both
/// (CVE-2021-41190), and for schema 1.
DocumentKind classify_document(std::string_view text, std::string_view content_type);

/// Read a document that others wrote, with every descriptor's digest and size checked for their form alone.
/// Throw invalid: no JSON as of parse_json(), the other of the two kinds, a member that is missing or of the
/// wrong type, more layers or entries than the bounds above, one digest with two media types or sizes.
Manifest parse_manifest(std::string_view text);
Index parse_index(std::string_view text);
/// One of docker's as OCI's that lists the same blobs.
Manifest with_oci_types(Manifest manifest);
/// Compact JSON, members in the specification's order not guaranteed; equal values give equal bytes.
std::string write_manifest(const Manifest& manifest);
std::string write_index(const Index& index);

/// The manifest of `index` that fits `wanted` best: of "vN" the highest up to the wanted one, of no variant
/// any. Where no entry tells its platform it is the first of all, a guess: of a result without `platform` the
/// caller sees by require_platform() that the image's config fits. Throws not_found, naming what there is.
const Descriptor& choose_platform(const Index& index, const Platform& wanted);

}  // namespace lay::layerstore
