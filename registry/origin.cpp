#include "origin.h"

#include "base/error.h"
#include "layerstore/manifest.h"

namespace lay::registry {

namespace {

using layerstore::Descriptor;
using layerstore::DocumentKind;
using layerstore::Platform;

/// The manifest of the one image that is wanted: what the name leads to, or its entry for the platform.
Document fetch_manifest(const RegistryClient& client, const Reference& reference, const Platform& platform) {
  Document document = client.get_manifest(manifest_selector(reference), reference.digest);
  if (layerstore::classify_document(document.bytes, document.content_type) == DocumentKind::manifest)
    return document;
  for (int depth = 1; depth < layerstore::kMaxIndexDepth; ++depth) {
    const layerstore::Index index = layerstore::parse_index(document.bytes);
    const Descriptor chosen = layerstore::choose_platform(index, platform);
    document = client.get_manifest(chosen.digest.to_string(), chosen.digest);
    if (document.bytes.size() != chosen.size)
      throw Error::make(Errc::corrupt, "manifest {}: got {} bytes, expected {}", chosen.digest.to_string(),
                        document.bytes.size(), chosen.size);
    if (layerstore::classify_document(document.bytes, document.content_type) == DocumentKind::manifest)
      return document;
  }
  throw Error::make(Errc::invalid, "indexes stand in one another more than {} deep",
                    layerstore::kMaxIndexDepth);
}

Origin open_origin(const ImageSource& source, const Platform& platform, const Connection& connection) {
  auto client = std::make_unique<RegistryClient>(source.reference, Access::pull, connection);
  Document document = fetch_manifest(*client, source.reference, platform);
  return {.client = std::move(client), .document = std::move(document)};
}

}  // namespace

Origin find_origin(const Reference& reference, const Platform& platform, const Connection& connection) {
  for (const ImageSource& source : plan_sources(connection.conf.get(), reference)) {
    const Connection there = connection_to(source, reference.domain, connection);
    if (!source.is_mirror) return open_origin(source, platform, there);
    try {
      return open_origin(source, platform, there);
    } catch (const Error& error) {
      if (error.code() == Errc::cancelled) throw;
    }
  }
  throw Error(Errc::not_found, "no registry to ask");
}

}  // namespace lay::registry
