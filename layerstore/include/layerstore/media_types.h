#pragma once

#include <string_view>

#include "layerstore/codec.h"

/// image-spec media-types.md, and Docker image manifest version 2, schema 2.
namespace lay::layerstore::media_type {

constexpr std::string_view kManifest = "application/vnd.oci.image.manifest.v1+json";
constexpr std::string_view kIndex = "application/vnd.oci.image.index.v1+json";
constexpr std::string_view kConfig = "application/vnd.oci.image.config.v1+json";
constexpr std::string_view kLayer = "application/vnd.oci.image.layer.v1.tar";
constexpr std::string_view kLayerGzip = "application/vnd.oci.image.layer.v1.tar+gzip";
constexpr std::string_view kLayerZstd = "application/vnd.oci.image.layer.v1.tar+zstd";

constexpr std::string_view kDockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
constexpr std::string_view kDockerIndex = "application/vnd.docker.distribution.manifest.list.v2+json";
constexpr std::string_view kDockerConfig = "application/vnd.docker.container.image.v1+json";
constexpr std::string_view kDockerLayer = "application/vnd.docker.image.rootfs.diff.tar";
constexpr std::string_view kDockerLayerGzip = "application/vnd.docker.image.rootfs.diff.tar.gzip";

bool is_manifest(std::string_view type);
bool is_index(std::string_view type);
bool is_config(std::string_view type);
/// Whether layers of that type are fetched by their "urls" and need not be in a registry (image-spec layer.md
/// "Non-Distributable Layers").
bool is_foreign(std::string_view layer_type);
/// Throws unsupported when it is no layer lay can read (foreign and encrypted layers, other compressions).
Compression compression_of(std::string_view layer_type);
std::string_view layer_type_of(Compression compression);
/// Which specification a manifest follows, and with it the types it lists.
enum class ManifestFormat { oci, docker };
/// Throws unsupported for zstd in Docker's: its engine reads none, nor does podman in such a manifest.
std::string_view layer_type_of(Compression compression, ManifestFormat format);

}  // namespace lay::layerstore::media_type
