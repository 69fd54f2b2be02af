#include "archive/oci_members.h"

#include "archive/archive_writer.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "images/new_image.h"
#include "layerstore/media_types.h"

namespace lay::layerstore {

namespace {

constexpr const char* kLayoutVersion = "1.0.0";

std::string member_of(const Digest& digest) {
  return std::string(kBlobsFolder) + digest.algorithm_name() + "/" + digest.hex();
}

void save_blob(const Store& store, const Digest& digest, std::uint64_t size, ArchiveWriter& archive,
               Progress& progress) {
  const UniqueFd file = store.blobs().open(digest);
  const auto task = progress.begin("blob " + digest.short_hex(), size);
  FdSource stored(file);
  HashingSource hashed(stored, digest.algorithm());
  ProgressSource counted(hashed, *task);
  with_context(fmt::format("blob {}", digest.to_string()), [&] {
    archive.add_stream(member_of(digest), size, counted);
    if (const Digest got = hashed.digest(); got != digest)
      throw Error::make(Errc::corrupt, "got {}", got.to_string()).with_hint("lay fsck --repair");
  });
  task->done("saved");
}

}  // namespace

void write_oci_archive(const Store& store, std::span<const Descriptor> entries,
                       const std::map<Digest, std::uint64_t>& blobs, const NewManifests& manifests,
                       ByteSink& out, Progress& progress) {
  ArchiveWriter archive(out);
  archive.add_text(kOciLayout, dump_json({{"imageLayoutVersion", kLayoutVersion}}));
  archive.add_text(kOciIndex, write_index({.media_type = std::string(media_type::kIndex),
                                           .manifests = {entries.begin(), entries.end()}}));
  archive.add_folder("blobs");
  std::string folder;
  for (const auto& [digest, size] : blobs) {
    if (folder != digest.algorithm_name()) {
      folder = digest.algorithm_name();
      archive.add_folder(std::string(kBlobsFolder) + folder);
    }
    if (const auto fresh = manifests.find(digest); fresh != manifests.end()) {
      archive.add_text(member_of(digest), fresh->second);
    } else {
      save_blob(store, digest, size, archive, progress);
    }
  }
  archive.finish();
}

Index read_oci_index(ArchiveMembers& members) {
  with_context(kOciLayout, [&] {
    const std::string version =
        json_string(parse_json(members.document(kOciLayout).value(), "read"), "imageLayoutVersion");
    if (version != kLayoutVersion)
      throw Error::make(Errc::unsupported, "version '{}', expected {}", printable(version), kLayoutVersion);
  });
  return with_context(kOciIndex, [&] {
    const std::string text = members.document(kOciIndex).value();
    if (classify_document(text, "") != DocumentKind::index) throw Error(Errc::invalid, "it is no index");
    return parse_index(text);
  });
}

}  // namespace lay::layerstore
