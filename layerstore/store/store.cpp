#include "layerstore/store.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "base/folder_names.h"
#include "base/make_folders.h"
#include "base/syscalls.h"
#include "images/image_reader.h"
#include "layerstore/media_types.h"
#include "store/store_file.h"

namespace lay::layerstore {

namespace {

constexpr const char* kLayoutFile = "oci-layout";  // image-spec image-layout.md
constexpr const char* kRootHint = "run as root, or choose a folder of yours with --root";
constexpr const char* kLayoutText = R"({"imageLayoutVersion":"1.0.0"})";

std::optional<UniqueFd> try_open_root(const std::string& path) {
  if (path.empty()) throw Error::make(Errc::invalid, "the store's folder has no name");
  try {
    return sys::try_open_at(sys::cwd(), path, O_RDONLY | O_DIRECTORY);
  } catch (Error& error) {
    error.add_context(fmt::format("store '{}'", path));
    if (error.code() == Errc::denied) error.with_hint(kRootHint);
    throw;
  }
}

UniqueFd open_root(const std::string& path) {
  if (auto fd = try_open_root(path)) return std::move(*fd);
  try {
    // That it is there has to last, too
    if (make_folders(path)) sys::fsync(sys::open_dir(sys::open_dir(sys::cwd(), path), ".."));
    return sys::open_at(sys::cwd(), path, O_RDONLY | O_DIRECTORY);
  } catch (Error& error) {
    error.add_context(fmt::format("store '{}'", path));
    if (error.code() == Errc::denied) error.with_hint(kRootHint);
    throw;
  }
}

/// A store that is being made, or whose making was interrupted, holds nothing but its own parts and the
/// neighbours that ROOT also has (docs/architecture.md, "The store").
void require_own_parts(const UniqueFd& root, const std::string& path) {
  static constexpr std::array<std::string_view, 8> kParts{"blobs", "layers",     "ingest",     "index.json",
                                                          "lock",  "index.lock", "containers", "networks"};
  for (const std::string& name : list_names(root)) {
    if (name == kLayoutFile) return;  // somebody else finished meanwhile
    if (std::find(kParts.begin(), kParts.end(), name) == kParts.end())
      throw Error::make(Errc::invalid, "'{}' is neither empty nor a store", path)
          .with_hint("choose an empty folder or one that does not exist with --root");
  }
}

bool is_layout(const UniqueFd& root) {
  const auto file = try_open_regular(root, kLayoutFile);
  if (!file) return false;
  const Json json = parse_json(sys::read_all(*file, kMaxJsonBytes), kLayoutFile);
  const std::string version =
      with_context(kLayoutFile, [&] { return json_string(json, "imageLayoutVersion"); });
  if (version != "1.0.0")
    throw Error::make(Errc::unsupported, "the store is an OCI layout of another version, expected 1.0.0");
  return true;
}

/// Makes what is missing. oci-layout comes last: where it is, all the rest is.
void complete(const UniqueFd& root, const std::string& path) {
  const bool layout = is_layout(root);
  if (!layout) require_own_parts(root, path);
  const FileLock lock = FileLock::acquire(root, kStoreLock, LockMode::exclusive);
  for (const char* folder : {"ingest", "blobs", "blobs/sha256", "layers"})
    sys::try_mkdir_at(root, folder, 0700);
  sys::fsync(sys::open_dir(root, "blobs"));
  if (!sys::try_stat_at(root, "index.json"))
    publish_file(root, "index.json", write_index({.media_type = std::string(media_type::kIndex)}));
  if (!layout) publish_file(root, kLayoutFile, kLayoutText);
  sys::fsync(root);
}

bool is_complete(const UniqueFd& root) {
  for (const char* part : {"ingest", "blobs", "layers", "index.json"})
    if (!sys::try_stat_at(root, part)) return false;
  return is_layout(root);
}

/// The path without symlinks and "..": it outlives a change of the working directory and goes into mounts.
std::string real_path(const UniqueFd& root) {
  return sys::readlink_at(sys::cwd(), fmt::format("/proc/self/fd/{}", root.get()));
}

/// Documents come from the store, checked against their digests.
ReadDocument reader_of(const BlobStore& blobs) {
  return [&](const Descriptor& descriptor) { return blobs.read(descriptor.digest); };
}

}  // namespace

Store::Store(std::string path, UniqueFd root, std::optional<LayerForm> form, UnpackLimits limits)
    : path_(std::move(path)),
      root_(std::make_unique<UniqueFd>(std::move(root))),
      blobs_(std::make_unique<BlobStore>(*root_)),
      layers_(std::make_unique<LayerStore>(*root_, path_, form, limits)),
      absent_(std::make_unique<AbsentBlobs>(*root_)),
      images_(std::make_unique<ImageStore>(*root_)) {}

Store Store::open(const std::string& root, std::optional<LayerForm> form, UnpackLimits limits) {
  UniqueFd fd = open_root(root);
  with_context(fmt::format("store '{}'", root), [&] {
    if (!is_complete(fd)) complete(fd, root);
  });
  std::string path = real_path(fd);
  return Store(std::move(path), std::move(fd), form, limits);
}

std::optional<Store> Store::open_existing(const std::string& root, std::optional<LayerForm> form,
                                          UnpackLimits limits) {
  auto fd = try_open_root(root);
  if (!fd) return std::nullopt;
  const bool exists = with_context(fmt::format("store '{}'", root), [&] {
    if (is_complete(*fd)) return true;
    if (!is_layout(*fd)) {
      require_own_parts(*fd, root);
      return false;
    }
    complete(*fd, root);
    return true;
  });
  if (!exists) return std::nullopt;
  std::string path = real_path(*fd);
  return Store(std::move(path), std::move(*fd), form, limits);
}

FileLock Store::share() const {
  return FileLock::acquire(*root_, kStoreLock, LockMode::shared);
}

FileLock Store::begin_adding() const {
  FileLock lock = share();
  Ingest::sweep(*root_);
  return lock;
}

void Store::drop_parts() const {
  Ingest::sweep(*root_, std::chrono::seconds{0});
}

Image Store::load(const Descriptor& manifest) const {
  return with_context(fmt::format("image {}", manifest.digest.to_string()),
                      [&] { return read_image(reader_of(*blobs_), manifest); });
}

}  // namespace lay::layerstore
