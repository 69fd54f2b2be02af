#pragma once

#include "layerstore/image_config.h"
#include "layerstore/manifest.h"

/// Whether a document of a registry is an image that could be run, before any layer is fetched.
namespace lay::registry {

/// Throws unsupported where `manifest` is no container image's, or its layers are of no form that lay knows.
void check_manifest(const layerstore::Manifest& manifest);

/// Throws invalid where the config belongs to another manifest, unsupported where it is for another platform.
void check_config(const layerstore::ImageConfig& config, const layerstore::Manifest& manifest,
                  const layerstore::Platform& wanted);

}  // namespace lay::registry
