#pragma once

#include <span>
#include <vector>

#include "archive/archive_members.h"
#include "layerstore/archive.h"

/// Archives as `docker save` writes them since its version 1.10, and podman by default: manifest.json lists
/// for each image its config, its names, and its layers as plain tars, lowest first.
namespace lay::layerstore {

void save_docker_archive(const Store& store, std::span<const ArchivedImage> images, ByteSink& out,
                         Progress& progress);

/// The images that manifest.json lists, all of them verified before anything is published. A layer that
/// `known` has a blob for takes that one: what is shared stays shared, on disk and in a registry.
std::vector<ArchivedImage> load_docker_archive(const Store& store, ArchiveMembers& members,
                                               const KnownBlobs& known, const JudgeImages& judge,
                                               Progress& progress);

}  // namespace lay::layerstore
