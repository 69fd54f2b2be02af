#include "layerstore/media_types.h"

#include "base/error.h"
#include "base/text.h"

namespace lay::layerstore::media_type {

namespace {

/// Written by podman for zstd layers in Docker manifests; in no specification.
constexpr std::string_view kDockerLayerZstd = "application/vnd.docker.image.rootfs.diff.tar.zstd";

constexpr std::string_view kDockerForeignLayer = "application/vnd.docker.image.rootfs.foreign.diff.tar";
constexpr std::string_view kDockerForeignLayerGzip =
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
/// With ".tar", ".tar+gzip" or ".tar+zstd" behind it.
constexpr std::string_view kNondistributableLayer = "application/vnd.oci.image.layer.nondistributable.v1.tar";

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

bool is_manifest(std::string_view type) {
  return type == kManifest || type == kDockerManifest;
}

bool is_index(std::string_view type) {
  return type == kIndex || type == kDockerIndex;
}

bool is_config(std::string_view type) {
  return type == kConfig || type == kDockerConfig;
}

bool is_foreign(std::string_view layer_type) {
  return layer_type == kDockerForeignLayer || layer_type == kDockerForeignLayerGzip ||
         layer_type.starts_with(kNondistributableLayer);
}

Compression compression_of(std::string_view layer_type) {
  if (layer_type == kLayer || layer_type == kDockerLayer) return Compression::none;
  if (layer_type == kLayerGzip || layer_type == kDockerLayerGzip) return Compression::gzip;
  if (layer_type == kLayerZstd || layer_type == kDockerLayerZstd) return Compression::zstd;
  const std::string shown = printable(layer_type);
  if (is_foreign(layer_type))
    throw Error::make(Errc::unsupported, "layer type '{}': the layer is kept outside the registry", shown);
  if (contains(layer_type, "+encrypted"))
    throw Error::make(Errc::unsupported, "layer type '{}': encrypted layers cannot be read", shown);
  throw Error::make(Errc::unsupported, "layer type '{}': expected a tar, plain, gzip or zstd", shown)
      .with_hint("this may be an artifact that is no container image");
}

std::string_view layer_type_of(Compression compression) {
  switch (compression) {
    case Compression::none:
      return kLayer;
    case Compression::gzip:
      return kLayerGzip;
    case Compression::zstd:
      break;
  }
  return kLayerZstd;
}

std::string_view layer_type_of(Compression compression, ManifestFormat format) {
  if (format == ManifestFormat::oci) return layer_type_of(compression);
  if (compression == Compression::zstd)
    throw Error(Errc::unsupported, "a Docker manifest has no zstd layers")
        .with_hint("--compression gzip, or none");
  return compression == Compression::gzip ? kDockerLayerGzip : kDockerLayer;
}

}  // namespace lay::layerstore::media_type
