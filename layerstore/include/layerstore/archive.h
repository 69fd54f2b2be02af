#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/progress.h"
#include "base/stream.h"
#include "layerstore/store.h"

/// Images as one tar: what `save` and `load` of podman and docker exchange.
namespace lay::layerstore {

enum class ArchiveFormat {
  docker,  ///< manifest.json, configs, layers as plain tars: every `load` takes it, several images at once
  oci,     ///< an OCI image layout: blobs, and so the manifests' digests, as they are; only docker's own
           ///< manifests are rewritten, since nobody finds them in a layout
};

/// "docker-archive" or "oci-archive"; throws invalid.
ArchiveFormat parse_archive_format(std::string_view name);

/// How an archive names one of its images. From outside it may be any text.
struct ArchiveName {
  std::string name;      ///< RepoTags of a docker archive, org.opencontainers.image.ref.name of an OCI one
  std::string complete;  ///< io.containerd.image.name, which holds the registry's host too; may be empty

  auto operator<=>(const ArchiveName&) const = default;
};

struct ArchivedImage {
  Image image;
  std::vector<ArchiveName> names;  ///< none: the image is known by its id alone
};

/// Writes images as an archive; the same images give the same bytes.
///   out      not finished here
///   throws   corrupt when a stored blob or layer is damaged: what was written then is no archive
/// The caller holds Store::share().
void save_archive(const Store& store, std::span<const ArchivedImage> images, ArchiveFormat format,
                  ByteSink& out, Progress& progress);

/// Sees all images of an archive before anything of them becomes visible; throws what load_archive() shall.
using JudgeImages = std::function<void(const std::vector<ArchivedImage>& images)>;

/// Takes the images of an archive into the store and returns them; the caller gives them their names.
///   archive   either kind, plain, gzip or zstd, its members in any order; read once, to its end
///   returns   in the archive's order; nothing of them is missing or unverified
///   throws    invalid, corrupt, unsupported; nothing has become visible then
/// Layers of a docker archive are compressed as a commit compresses them, or take the blob that the store
/// knows for the same layer already. Several descriptors stay open for each member. The caller holds
/// Store::share().
std::vector<ArchivedImage> load_archive(const Store& store, ByteSource& archive, const JudgeImages& judge,
                                        Progress& progress);

}  // namespace lay::layerstore
