#include "bundle/bundle_notes.h"

#include <fcntl.h>

#include "base/error.h"
#include "base/syscalls.h"

namespace lay::cli {

namespace {

constexpr std::int64_t kVersion = 1;

}  // namespace

Json to_json(const BundleNotes& notes, const layerstore::Image& image) {
  Json layers = Json::array();
  for (std::size_t i = 0; i < image.config.diff_ids.size(); ++i)
    layers.push_back({{"digest", image.manifest.layers[i].digest.to_string()},
                      {"diffId", image.config.diff_ids[i].to_string()}});
  return {{"version", kVersion},
          {"image", notes.image},
          {"manifest", notes.manifest.to_string()},
          {"imageId", image.id().to_string()},
          {"layers", layers},
          {"mountPoints", notes.mount_points},
          {"finished", {{"seconds", notes.finished.tv_sec}, {"nanoseconds", notes.finished.tv_nsec}}},
          {"rootfs", {{"device", notes.device}, {"inode", notes.inode}}}};
}

BundleNotes parse_bundle_notes(const Json& json) {
  if (const std::int64_t version = json_int(json, "version"); version != kVersion)
    throw Error::make(Errc::unsupported, "version {}, expected {}", version, kVersion)
        .with_hint("another release of lay wrote it");
  const Json none = Json::object();
  const auto part = [&](const char* key) -> const Json& {
    const Json* found = json_find(json, key);
    return found == nullptr ? none : *found;
  };
  BundleNotes notes{.image = json_string_or(json, "image", {}),
                    .manifest = layerstore::Digest::parse(json_string(json, "manifest")),
                    .mount_points = {},
                    .finished = {},
                    .device = static_cast<std::uint64_t>(json_int(part("rootfs"), "device")),
                    .inode = static_cast<std::uint64_t>(json_int(part("rootfs"), "inode"))};
  for (std::string& point : json_strings(json, "mountPoints")) notes.mount_points.insert(std::move(point));
  notes.finished.tv_sec = json_int(part("finished"), "seconds");
  notes.finished.tv_nsec = json_int(part("finished"), "nanoseconds");
  return notes;
}

bool is_bundle(const UniqueFd& folder) {
  const auto notes = sys::try_stat_at(folder, kBundleNotes);
  const auto root = sys::try_stat_at(folder, kBundleRoot);
  return notes && S_ISREG(notes->st_mode) && root && S_ISDIR(root->st_mode);
}

BundleNotes read_bundle_notes(const UniqueFd& folder) {
  if (!is_bundle(folder))
    throw Error::make(Errc::not_found, "it has no '{}' beside a folder '{}'", kBundleNotes, kBundleRoot)
        .with_hint("a bundle is what 'lay bundle IMAGE DIR' wrote; an upper folder goes without --bundle");
  return with_context(kBundleNotes, [&] {
    const UniqueFd file = sys::open_at(folder, kBundleNotes, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    return parse_bundle_notes(parse_json(sys::read_all(file, kMaxJsonBytes), "the file"));
  });
}

}  // namespace lay::cli
