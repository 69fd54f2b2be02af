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

/// The first place that `get` has a document of.
template <class Get>
Origin first_with(const Reference& reference, const Connection& connection, Get&& get) {
  const auto open = [&](const ImageSource& source) {
    auto client = std::make_unique<RegistryClient>(source.reference, Access::pull,
                                                   connection_to(source, reference.domain, connection));
    Document document = get(*client, source.reference);
    return Origin{.client = std::move(client), .document = std::move(document)};
  };
  for (const ImageSource& source : plan_sources(connection.conf.get(), reference)) {
    if (!source.is_mirror) return open(source);
    try {
      return open(source);
    } catch (const Error& error) {
      if (error.code() == Errc::cancelled) throw;
    }
  }
  throw Error(Errc::not_found, "no registry to ask");
}

}  // namespace

Origin find_origin(const Reference& reference, const Platform& platform, const Connection& connection) {
  return first_with(reference, connection, [&](const RegistryClient& client, const Reference& there) {
    return fetch_manifest(client, there, platform);
  });
}

Origin find_document(const Reference& reference, const Connection& connection) {
  return first_with(reference, connection, [](const RegistryClient& client, const Reference& there) {
    return client.get_manifest(manifest_selector(there), there.digest);
  });
}

}  // namespace lay::registry
