#include "archive/named_entry.h"
#include "archive/oci_members.h"
#include "base/error.h"
#include "base/json.h"
#include "base/syscalls.h"
#include "images/annotations.h"
#include "layerstore/media_types.h"
#include "layerstore/whole_image.h"

namespace lay::layerstore {

namespace {

/// Throws not_found where the archive lacks it.
BlobWriter& require(ArchiveMembers& members, const Descriptor& part) {
  BlobWriter* const staged = members.blob(part.digest);
  if (staged == nullptr) throw Error::make(Errc::not_found, "blob {} is missing", part.digest.to_string());
  if (staged->size() != part.size)
    throw Error::make(Errc::corrupt, "blob {}: got {} bytes, expected {}", part.digest.to_string(),
                      staged->size(), part.size);
  return *staged;
}

}  // namespace

WholeImage load_whole_archive(const Store& store, ByteSource& archive, const std::string& name,
                              Progress& progress) {
  const KnownBlobs known(store);
  ArchiveMembers members(store);
  read_members(store, archive, members, known, progress);
  if (!members.document(kOciLayout) || !members.document(kOciIndex))
    throw Error::make(Errc::invalid, "it is no OCI archive: '{}' and '{}' are not in it", kOciLayout,
                      kOciIndex);
  const Descriptor chosen = choose_entry(read_oci_index(members), name);
  const Descriptor root{.media_type = chosen.media_type, .digest = chosen.digest, .size = chosen.size};
  WholeImage whole = find_parts(root, [&](const Descriptor& document) {
    return sys::read_all(require(members, document).open_written(), kMaxJsonBytes);
  });
  std::erase_if(whole.blobs, [&](const Descriptor& blob) {
    if (members.blob(blob.digest) == nullptr && media_type::is_foreign(blob.media_type)) return true;
    require(members, blob).commit();
    return false;
  });
  for (const Descriptor& document : whole.documents) require(members, document).commit();
  require(members, root).commit();
  return whole;
}

void save_whole_archive(const Store& store, const WholeImage& whole, const std::string& name, ByteSink& out,
                        Progress& progress) {
  std::map<Digest, std::uint64_t> blobs{{whole.root.digest, whole.root.size}};
  for (const Descriptor& part : whole.documents) blobs.emplace(part.digest, part.size);
  for (const Descriptor& part : whole.blobs) blobs.emplace(part.digest, part.size);
  Descriptor entry{.media_type = whole.root.media_type, .digest = whole.root.digest, .size = whole.root.size};
  if (!name.empty()) entry.annotations[kRefName] = name;
  write_oci_archive(store, std::span(&entry, 1), blobs, {}, out, progress);
}

}  // namespace lay::layerstore
