#include "transfer/origin.h"

#include "base/error.h"
#include "layerstore/manifest.h"
#include "layerstore/media_types.h"
#include "layerstore/whole_image.h"

namespace lay::registry {

namespace {

using layerstore::Descriptor;
using layerstore::DocumentKind;
using layerstore::Platform;

DocumentKind kind_of(const Document& document) {
  return layerstore::classify_document(document.bytes, document.content_type);
}

/// What an index says of a document in it.
Document fetch_entry(const RegistryClient& client, const Descriptor& entry) {
  Document document = client.get_manifest(entry.digest.to_string(), entry.digest);
  if (document.bytes.size() != entry.size)
    throw Error::make(Errc::corrupt, "manifest {}: got {} bytes, expected {}", entry.digest.to_string(),
                      document.bytes.size(), entry.size);
  return document;
}

struct Fetched {
  Document document;
  bool is_guess = false;  ///< as Origin has it
};

/// The manifest of the one image that is wanted: what the name leads to, or its entry for the platform.
Fetched fetch_manifest(const RegistryClient& client, const Reference& reference, const Platform& platform) {
  Fetched fetched{.document = client.get_manifest(manifest_selector(reference), reference.digest)};
  if (kind_of(fetched.document) == DocumentKind::manifest) return fetched;
  for (int depth = 1; depth < layerstore::kMaxIndexDepth; ++depth) {
    const layerstore::Index index = layerstore::parse_index(fetched.document.bytes);
    const Descriptor& chosen = layerstore::choose_platform(index, platform);
    fetched = {.document = fetch_entry(client, chosen), .is_guess = !chosen.platform};
    if (kind_of(fetched.document) == DocumentKind::manifest) return fetched;
  }
  throw Error::make(Errc::invalid, "indexes stand in one another more than {} deep",
                    layerstore::kMaxIndexDepth);
}

/// Throws not_found where an index, or one in it, lists what is not there.
void require_entries(const RegistryClient& client, const Document& document, int depth = 1) {
  if (kind_of(document) == DocumentKind::manifest) return;
  if (depth >= layerstore::kMaxIndexDepth)
    throw Error::make(Errc::invalid, "indexes stand in one another more than {} deep",
                      layerstore::kMaxIndexDepth);
  for (const Descriptor& entry : layerstore::parse_index(document.bytes).manifests) {
    if (layerstore::is_blob(entry)) {
      if (!client.has_blob(entry.digest, {}))
        throw Error::make(Errc::not_found, "no blob {}", entry.digest.to_string());
      continue;
    }
    if (!layerstore::media_type::is_manifest(entry.media_type))
      require_entries(client, fetch_entry(client, entry), depth + 1);
    else if (!client.find_manifest(entry.digest.to_string()))
      throw Error::make(Errc::not_found, "no manifest {}", entry.digest.to_string());
  }
}

/// The first place that `get` has a document of.
template <class Get>
Origin first_with(const Reference& reference, const Connection& connection, Get&& get) {
  const auto open = [&](const ImageSource& source) {
    auto client = std::make_unique<RegistryClient>(source.reference, Access::pull,
                                                   connection_to(source, reference.domain, connection));
    Fetched fetched = get(*client, source);
    return Origin{
        .client = std::move(client), .document = std::move(fetched.document), .is_guess = fetched.is_guess};
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
  return first_with(reference, connection, [&](const RegistryClient& client, const ImageSource& source) {
    return fetch_manifest(client, source.reference, platform);
  });
}

Origin find_document(const Reference& reference, const Connection& connection) {
  return first_with(reference, connection, [](const RegistryClient& client, const ImageSource& source) {
    const Reference& there = source.reference;
    Fetched fetched{.document = client.get_manifest(manifest_selector(there), there.digest)};
    kind_of(fetched.document);  // throws for what is neither
    if (source.is_mirror) require_entries(client, fetched.document);
    return fetched;
  });
}

}  // namespace lay::registry
