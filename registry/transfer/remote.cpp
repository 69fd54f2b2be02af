#include "registry/remote.h"

#include "base/error.h"
#include "client/client.h"
#include "layerstore/image_config.h"
#include "transfer/origin.h"

namespace lay::registry {

namespace {

/// The registry itself, as registries.conf has it: mirrors may be behind.
std::unique_ptr<RegistryClient> open_registry(const Reference& reference, Access access,
                                              const Connection& connection) {
  const ImageSource target = plan_target(connection.conf.get(), reference);
  return std::make_unique<RegistryClient>(target.reference, access,
                                          connection_to(target, reference.domain, connection));
}

/// What the tag leads to. Not every registry says so of itself: then the manifest is hashed.
layerstore::Digest find_digest(const RegistryClient& client, const Reference& reference) {
  if (reference.digest) return *reference.digest;
  if (const auto named = client.find_manifest(reference.tag)) return *named;
  try {
    return client.get_manifest(reference.tag, std::nullopt).digest;
  } catch (const Error& error) {
    if (error.code() != Errc::not_found) throw;
    throw Error::make(Errc::not_found, "registry {}: no {}", reference.domain, to_string(reference))
        .with_hint("lay tags " + reference.domain + "/" + reference.repository);
  }
}

}  // namespace

std::vector<std::string> list_tags(const Reference& reference, const Connection& connection) {
  return open_registry(reference, Access::pull, connection)->list_tags();
}

layerstore::Image inspect(const Reference& reference, const layerstore::Platform& platform,
                          const Connection& connection) {
  const Origin origin = find_origin(reference, platform, connection);
  const layerstore::Manifest manifest = layerstore::parse_manifest(origin.document.bytes);
  layerstore::ImageConfig config = layerstore::parse_image_config(origin.client->read_blob(manifest.config));
  if (origin.is_guess) layerstore::require_platform(config, platform);
  return {.descriptor = layerstore::Descriptor{.media_type = manifest.media_type,
                                               .digest = origin.document.digest,
                                               .size = origin.document.bytes.size()},
          .manifest = manifest,
          .config = std::move(config)};
}

std::string read_manifest(const Reference& reference, const layerstore::Platform& platform,
                          const Connection& connection) {
  return find_origin(reference, platform, connection).document.bytes;
}

std::string read_config(const Reference& reference, const layerstore::Platform& platform,
                        const Connection& connection) {
  const Origin origin = find_origin(reference, platform, connection);
  std::string config = origin.client->read_blob(layerstore::parse_manifest(origin.document.bytes).config);
  if (origin.is_guess) layerstore::require_platform(layerstore::parse_image_config(config), platform);
  return config;
}

std::string read_document(const Reference& reference, const Connection& connection) {
  return find_document(reference, connection).document.bytes;
}

layerstore::Digest remove(const Reference& reference, const Connection& connection) {
  const auto client = open_registry(reference, Access::remove, connection);
  const layerstore::Digest digest = find_digest(*client, reference);
  client->delete_manifest(digest);
  return digest;
}

}  // namespace lay::registry
