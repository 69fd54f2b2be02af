#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "archive/archive_members.h"

/// The members of an archive that is an OCI image layout.
namespace lay::layerstore {

/// Manifests that are not in the store, by digest.
using NewManifests = std::map<Digest, std::string>;

/// Writes a layout with these entries in its index; `blobs` are their sizes. Throws corrupt when a stored one
/// is damaged.
void write_oci_archive(const Store& store, std::span<const Descriptor> entries,
                       const std::map<Digest, std::uint64_t>& blobs, const NewManifests& manifests,
                       ByteSink& out, Progress& progress);

/// Throws unsupported for layouts of another version, invalid for what is none.
Index read_oci_index(ArchiveMembers& members);

}  // namespace lay::layerstore
