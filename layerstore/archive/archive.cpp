#include "layerstore/archive.h"

#include "archive/archive_docker.h"
#include "archive/archive_members.h"
#include "archive/archive_oci.h"
#include "base/error.h"
#include "base/text.h"
#include "codec/limited_source.h"
#include "layers/layer_stream.h"

namespace lay::layerstore {

namespace {

constexpr std::size_t kMagicBytes = 512;

}  // namespace

ArchiveFormat parse_archive_format(std::string_view name) {
  if (name == "docker-archive") return ArchiveFormat::docker;
  if (name == "oci-archive") return ArchiveFormat::oci;
  throw Error::make(Errc::invalid, "format '{}', expected docker-archive or oci-archive", printable(name));
}

void save_archive(const Store& store, std::span<const ArchivedImage> images, ArchiveFormat format,
                  ByteSink& out, Progress& progress) {
  if (format == ArchiveFormat::docker) {
    save_docker_archive(store, images, out, progress);
  } else {
    save_oci_archive(store, images, out, progress);
  }
}

void read_members(const Store& store, ByteSource& archive, ArchiveMembers& members, const KnownBlobs& known,
                  Progress& progress) {
  PeekSource peeked(archive, kMagicBytes);
  CountingSource packed(peeked);
  const auto plain = make_decompressor(detect_compression(peeked.start()), packed);
  // What the user allows is for one layer, and asked of each
  const UnpackLimits whole{.most_bytes = store.layers().limits().most_bytes
                                             ? std::optional(std::numeric_limits<std::uint64_t>::max())
                                             : std::nullopt};
  LimitedSource limited(*plain, whole, [&] { return packed.count(); });
  members.read(limited, known, progress);
}

std::vector<ArchivedImage> load_archive(const Store& store, ByteSource& archive, const JudgeImages& judge,
                                        Progress& progress) {
  const KnownBlobs known(store);
  ArchiveMembers members(store);
  read_members(store, archive, members, known, progress);

  const JudgeImages judge_all = [&](const std::vector<ArchivedImage>& images) {
    if (images.empty()) throw Error(Errc::invalid, "the archive lists no image");
    judge(images);
  };
  if (members.document(kOciLayout) && members.document(kOciIndex))
    return load_oci_archive(store, members, judge_all, progress);
  if (members.document(kDockerManifest))
    return load_docker_archive(store, members, known, judge_all, progress);
  throw Error::make(Errc::invalid, "no archive of images: neither '{}' nor '{}' and '{}' are in it",
                    kDockerManifest, kOciLayout, kOciIndex)
      .with_hint("'lay import' makes an image of a root file system's tar");
}

}  // namespace lay::layerstore
