#pragma once

#include <span>
#include <vector>

#include "archive/archive_members.h"
#include "layerstore/archive.h"

/// Archives that hold an OCI image layout (image-spec image-layout.md).
namespace lay::layerstore {

void save_oci_archive(const Store& store, std::span<const ArchivedImage> images, ByteSink& out,
                      Progress& progress);

/// The images that index.json leads to, all of them verified before anything is published.
std::vector<ArchivedImage> load_oci_archive(const Store& store, ArchiveMembers& members,
                                            const JudgeImages& judge, Progress& progress);

}  // namespace lay::layerstore
