#include "archive/archive_oci.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "archive/oci_members.h"
#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "images/annotations.h"
#include "images/image_reader.h"
#include "images/new_image.h"
#include "layers/layer_stream.h"
#include "layerstore/commit.h"
#include "layerstore/media_types.h"

namespace lay::layerstore {

namespace {

/// skopeo and podman look for OCI manifests only in a layout: one of docker's becomes one that lists the same
/// blobs, under another digest.
ArchivedImage as_oci(ArchivedImage archived, NewManifests& manifests) {
  Manifest& manifest = archived.image.manifest;
  if (manifest.media_type == media_type::kManifest) return archived;
  manifest = with_oci_types(std::move(manifest));
  std::string text = write_manifest(manifest);
  archived.image.descriptor =
      Descriptor{.media_type = manifest.media_type, .digest = digest_of(text), .size = text.size()};
  manifests.emplace(archived.image.descriptor.digest, std::move(text));
  return archived;
}

/// One entry for each name; an image without names has one as well.
std::vector<Descriptor> index_entries(std::span<const ArchivedImage> images) {
  std::map<std::pair<ArchiveName, Digest>, Descriptor> sorted;
  for (const ArchivedImage& archived : images) {
    const Descriptor plain{.media_type = archived.image.manifest.media_type,
                           .digest = archived.image.descriptor.digest,
                           .size = archived.image.descriptor.size};
    if (archived.names.empty()) sorted.emplace(std::pair(ArchiveName{}, plain.digest), plain);
    for (const ArchiveName& name : archived.names) {
      Descriptor entry = plain;
      entry.annotations[kRefName] = name.name;
      if (!name.complete.empty()) entry.annotations[kCompleteName] = name.complete;
      sorted.emplace(std::pair(name, plain.digest), std::move(entry));
    }
  }
  std::vector<Descriptor> entries;
  for (auto& [key, entry] : sorted) entries.push_back(std::move(entry));
  return entries;
}

std::map<Digest, std::uint64_t> blobs_of(std::span<const ArchivedImage> images) {
  std::map<Digest, std::uint64_t> blobs;
  for (const ArchivedImage& archived : images) {
    blobs.emplace(archived.image.descriptor.digest, archived.image.descriptor.size);
    blobs.emplace(archived.image.manifest.config.digest, archived.image.manifest.config.size);
    for (const Descriptor& layer : archived.image.manifest.layers) blobs.emplace(layer.digest, layer.size);
  }
  return blobs;
}

/// Brings the images of a layout into the store.
class Loading {
 public:
  Loading(const Store& store, ArchiveMembers& members, Progress& progress)
      : store_(store), members_(members), progress_(progress) {}

  Image add(const Descriptor& root) {
    Image image = read_image([&](const Descriptor& descriptor) { return read(descriptor); }, root);
    image.descriptor.annotations.clear();
    need(image.descriptor);
    need(image.manifest.config);
    for (std::size_t i = 0; i < image.manifest.layers.size(); ++i)
      with_context(fmt::format("layer {}", image.manifest.layers[i].digest.to_string()),
                   [&] { add_layer(image.manifest.layers[i], image.config.diff_ids[i]); });
    return image;
  }

  /// Layers' blobs first, each before its layer; the documents that name them last.
  void publish() {
    for (const auto& [digest, writer] : layer_blobs_) writer->commit();
    for (auto& [diff_id, layer] : layers_) layer.commit(diff_id);
    for (const auto& [digest, writer] : documents_) writer->commit();
  }

 private:
  std::string read(const Descriptor& descriptor) {
    BlobWriter* const staged = members_.blob(descriptor.digest);
    if (staged == nullptr) return store_.blobs().read(descriptor.digest);
    return sys::read_all(staged->open_written(), kMaxJsonBytes);
  }

  void need(const Descriptor& document) {
    if (BlobWriter* const staged = members_.blob(document.digest)) documents_[document.digest] = staged;
  }

  void add_layer(const Descriptor& blob, const Digest& diff_id) {
    if (!seen_.emplace(blob.digest, diff_id).second) return;
    BlobWriter* const staged = members_.blob(blob.digest);
    if (staged == nullptr) {
      if (!is_layer_stored(store_, blob, diff_id))
        throw Error(Errc::invalid, "neither the archive nor the store has it");
      return;
    }
    if (staged->size() != blob.size)
      throw Error::make(Errc::invalid, "got {} bytes, expected {}", staged->size(), blob.size);
    layer_blobs_[blob.digest] = staged;
    unpack(*staged, blob, diff_id);
  }

  /// Also what is unpacked already is read once more: that its diff_id is right must be seen, not believed.
  void unpack(const BlobWriter& staged, const Descriptor& blob, const Digest& diff_id) {
    const auto task = progress_.begin("layer " + blob.digest.short_hex(), blob.size);
    const UniqueFd file = staged.open_written();
    FdSource stored(file);
    ProgressSource counted(stored, *task);
    if (layers_.contains(diff_id) || store_.layers().has(diff_id)) {
      verify_diff_id(counted, blob, diff_id, store_.layers().limits());
      task->done("already there");
      return;
    }
    LayerWriter layer = store_.layers().begin(diff_id.algorithm());
    unpack_verified(counted, blob, diff_id, store_.layers().limits(), layer, [] {});
    layer.note_blob(blob);
    layers_.emplace(diff_id, std::move(layer));
    task->done("loaded");
  }

  const Store& store_;
  ArchiveMembers& members_;
  Progress& progress_;
  std::set<std::pair<Digest, Digest>> seen_;  ///< blob and diff_id
  std::map<Digest, BlobWriter*> layer_blobs_;
  std::map<Digest, BlobWriter*> documents_;
  std::map<Digest, LayerWriter> layers_;
};

std::vector<ArchiveName> names_of(const Descriptor& entry) {
  const auto value = [&](const char* key) {
    const auto it = entry.annotations.find(key);
    return it == entry.annotations.end() ? std::string() : it->second;
  };
  ArchiveName name{.name = value(kRefName), .complete = value(kCompleteName)};
  if (name.name.empty() && name.complete.empty()) return {};
  return {std::move(name)};
}

/// Several entries for one image are its names.
void add_entry(std::vector<ArchivedImage>& images, ArchivedImage entry) {
  const auto same = std::find_if(images.begin(), images.end(), [&](const ArchivedImage& known) {
    return known.image.descriptor.digest == entry.image.descriptor.digest;
  });
  if (same == images.end()) {
    images.push_back(std::move(entry));
  } else {
    same->names.insert(same->names.end(), entry.names.begin(), entry.names.end());
  }
}

}  // namespace

void save_oci_archive(const Store& store, std::span<const ArchivedImage> given, ByteSink& out,
                      Progress& progress) {
  NewManifests manifests;
  std::vector<ArchivedImage> images;
  for (const ArchivedImage& archived : given) images.push_back(as_oci(archived, manifests));
  write_oci_archive(store, index_entries(images), blobs_of(images), manifests, out, progress);
}

std::vector<ArchivedImage> load_oci_archive(const Store& store, ArchiveMembers& members,
                                            const JudgeImages& judge, Progress& progress) {
  const Index index = read_oci_index(members);
  Loading loading(store, members, progress);
  std::vector<ArchivedImage> images;
  for (const Descriptor& entry : index.manifests) {
    Image image =
        with_context(fmt::format("image {}", entry.digest.to_string()), [&] { return loading.add(entry); });
    add_entry(images, {.image = std::move(image), .names = names_of(entry)});
  }
  judge(images);
  loading.publish();
  return images;
}

}  // namespace lay::layerstore
