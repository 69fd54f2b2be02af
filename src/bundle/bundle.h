#pragma once

#include <string>

#include "bundle/bundle_notes.h"
#include "context.h"
#include "images/image_lookup.h"
#include "plan/container_plan.h"

namespace lay::cli {

/// The annotations that image-spec conversion.md derives of an image, and its labels.
std::map<std::string, std::string> image_annotations(const layerstore::ImageConfig& config);

/// Image and flags as `lay run` has them, for a container without lay. Throws invalid and unsupported for
/// what needs lay beside it: networks but none and host, namespaces of its containers.
runner::ContainerConfig plan_bundle(const layerstore::Image& image, RunOptions options);

/// Writes the bundle into `folder`, which is empty: rootfs, config.json, lay.json. The caller holds
/// Store::share().
void write_bundle(const Context& context, const layerstore::Store& store, const FoundImage& found,
                  const runner::ContainerConfig& config, const UniqueFd& folder);

/// Makes in `upper`, an empty folder, what the root of the bundle in `folder` changed of its image. The
/// caller holds Store::share().
void make_bundle_upper(const Context& context, const layerstore::Store& store, const layerstore::Image& image,
                       const UniqueFd& folder, const BundleNotes& notes, const UniqueFd& upper);

}  // namespace lay::cli
