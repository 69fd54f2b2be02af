#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/progress.h"
#include "layers/stored_tar.h"
#include "layerstore/store.h"
#include "receive/known_blobs.h"
#include "tar/tar_reader.h"

namespace lay::layerstore {

constexpr const char* kDockerManifest = "manifest.json";
constexpr const char* kOciIndex = "index.json";
constexpr const char* kOciLayout = "oci-layout";
constexpr std::string_view kBlobsFolder = "blobs/";

/// The members of an archive of images, staged under ingest/. Whatever is asked for is looked up among them
/// by name: no path of an archive ever leads to a file.
class ArchiveMembers {
 public:
  explicit ArchiveMembers(const Store& store) : store_(store) {}

  /// Reads the whole archive. Throws invalid for names that lead upwards, members given twice, devices, and
  /// more members than anybody needs; corrupt for a member of blobs/ that is not what its name says.
  void read(ByteSource& archive, const KnownBlobs& known, Progress& progress);

  /// The text of one of the archive's own documents (the constants above); empty when it is not there.
  std::optional<std::string> document(const std::string& name) const;
  /// The bytes of a member that is named by its digest; nullptr when it is not there. Throws invalid when it
  /// is no file.
  BlobWriter* blob(const Digest& digest);
  /// The bytes of any member small enough to be a document, links followed; throws invalid.
  BlobWriter& file(const std::string& name);
  /// A layer tar, plain or compressed, links followed; its diff_id. Throws invalid.
  Digest layer(const std::string& name, Progress& progress);
  /// What was staged for a layer that layer() found; nullptr when the store knows a blob for it.
  StagedTar* staged(const Digest& diff_id);

 private:
  struct Member {
    std::optional<BlobWriter> bytes;
    std::optional<Digest> diff_id;  ///< of a layer
    std::optional<std::string> link;
    bool is_too_large = false;  ///< for a document, and it is no layer
  };

  void add(const TarEntry& entry, TarReader& tar, const KnownBlobs& known, Progress& progress);
  Member read_file(const std::string& name, std::uint64_t size, TarReader& tar, const KnownBlobs& known,
                   Progress& progress);
  Digest read_layer(const std::string& name, ByteSource& source, const KnownBlobs& known, Progress& progress);
  BlobWriter stage_bytes(ByteSource& source, DigestAlgorithm algorithm);
  Digest stage_layer(ByteSource& source, Progress::Task& task);
  Member& resolve(const std::string& name);

  const Store& store_;
  std::map<std::string, Member> members_;
  std::map<std::string, std::string> documents_;
  std::map<Digest, StagedTar> layers_;  ///< by diff_id
};

/// Reads an archive that may be compressed, within the store's limits.
void read_members(const Store& store, ByteSource& archive, ArchiveMembers& members, const KnownBlobs& known,
                  Progress& progress);

}  // namespace lay::layerstore
