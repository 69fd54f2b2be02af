#include "layerstore/layout.h"

#include <fcntl.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>
#include <utility>

#include "archive/named_entry.h"
#include "base/atomic_file.h"
#include "base/cancel.h"
#include "base/error.h"
#include "base/file_lock.h"
#include "base/folder_names.h"
#include "base/json.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "images/annotations.h"
#include "images/image_reader.h"
#include "images/new_image.h"
#include "layers/layer_stream.h"
#include "layerstore/commit.h"
#include "layerstore/media_types.h"
#include "layerstore/whole_image.h"
#include "store/store_file.h"

namespace lay::layerstore {

namespace {

constexpr const char* kIndex = "index.json";
constexpr const char* kLayout = "oci-layout";
constexpr const char* kLayoutText = R"({"imageLayoutVersion":"1.0.0"})";

std::string blob_path(const Digest& digest) {
  return "blobs/" + digest.algorithm_name() + "/" + digest.hex();
}

UniqueFd open_part(const UniqueFd& folder, const std::string& path) {
  auto file = try_open_regular(folder, path);
  if (!file) throw Error::make(Errc::not_found, "'{}' is missing", path);
  return std::move(*file);
}

/// In a new layout of umoci's the list of images is null.
Index read_index(const UniqueFd& folder) {
  return with_context(kIndex, [&] {
    const std::string text = sys::read_all(open_part(folder, kIndex), kMaxJsonBytes);
    const Json json = parse_json(text, "index");
    const bool is_new = json.is_object() && json.contains("manifests") && json["manifests"].is_null();
    return is_new ? Index{.media_type = std::string(media_type::kIndex)} : parse_index(text);
  });
}

/// A document of the layout, checked against its digest.
std::string read_document(const UniqueFd& folder, const Descriptor& descriptor) {
  std::string text = sys::read_all(open_part(folder, blob_path(descriptor.digest)), kMaxJsonBytes);
  if (const Digest got = digest_of(text, descriptor.digest.algorithm()); got != descriptor.digest)
    throw Error::make(Errc::corrupt, "blob: got {}, expected {}", got.to_string(),
                      descriptor.digest.to_string());
  return text;
}

void take_layer(const Store& store, const UniqueFd& folder, const Descriptor& blob, const Digest& diff_id,
                Progress& progress) {
  const auto task = progress.begin("layer " + blob.digest.short_hex(), blob.size);
  if (is_layer_stored(store, blob, diff_id)) return task->done("already there");
  const UniqueFd file = open_part(folder, blob_path(blob.digest));
  FdSource source(file);
  receive_layer(store, source, blob, diff_id);
  task->done("copied");
}

/// A blob of whatever kind; false when it is not there.
bool take_blob(const Store& store, const UniqueFd& folder, const Descriptor& blob, Progress::Task& task) {
  if (store.blobs().is_whole(blob)) return true;
  const auto file = try_open_regular(folder, blob_path(blob.digest));
  if (!file) return false;
  BlobWriter writer = store.blobs().begin(blob.digest.algorithm());
  FdSource source(*file);
  ProgressSource counted(source, task);
  ExactSource exact(counted, blob.size);  // the file may be far larger than it is said to be
  with_context(fmt::format("blob {}", blob.digest.to_string()), [&] {
    pump(exact, writer);
    writer.commit(blob);
  });
  return true;
}

void put_document(const Store& store, const UniqueFd& folder, const Descriptor& descriptor) {
  put_verified(store, descriptor, read_document(folder, descriptor));
}

/// The folder of blobs with such digests, made when it is missing. No part of the way may be a symlink: it
/// would lead the blobs out of the layout.
UniqueFd open_blobs(const UniqueFd& folder, const Digest& digest) {
  const UniqueFd blobs = sys::open_dir(folder, "blobs");
  if (sys::try_mkdir_at(blobs, digest.algorithm_name(), 0755)) sys::fsync(blobs);
  return sys::open_dir(blobs, digest.algorithm_name());
}

/// Copies one blob, hashing it on its way, unless it is there. The folder it gets a name in is not synced.
void copy_blob(const Store& store, const UniqueFd& folder, const Descriptor& blob) {
  const UniqueFd blobs = open_blobs(folder, blob.digest);
  const std::string& name = blob.digest.hex();
  const auto there = sys::try_stat_at(blobs, name);
  if (there && S_ISREG(there->st_mode) && std::cmp_equal(there->st_size, blob.size)) return;
  const UniqueFd in = store.blobs().open(blob.digest);
  FdSource source(in);
  HashingSource hashed(source, blob.digest.algorithm());
  const std::string part = name + ".part";  // of a copy that was killed, when there is one already
  sys::try_unlink_at(blobs, part);
  const UniqueFd out = sys::open_at(blobs, part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
  try {
    FdSink sink(out);
    pump(hashed, sink);
    if (const Digest got = hashed.digest(); got != blob.digest)
      throw Error::make(Errc::corrupt, "blob {} in the store is damaged: got {}", blob.digest.to_string(),
                        got.to_string())
          .with_hint("lay fsck --repair");
    sys::fsync(out);
  } catch (...) {
    sys::try_unlink_at(blobs, part);
    throw;
  }
  sys::rename_at(blobs, part, blobs, name);
}

void copy_blobs(const Store& store, const UniqueFd& folder, std::span<const Descriptor> blobs) {
  std::set<std::string> algorithms;
  for (const Descriptor& blob : blobs) {
    copy_blob(store, folder, blob);
    algorithms.insert(blob.digest.algorithm_name());
  }
  for (const std::string& algorithm : algorithms)
    sys::fsync(sys::open_dir(sys::open_dir(folder, "blobs"), algorithm));
}

UniqueFd open_layout(const std::string& path) {
  const bool is_new = sys::try_mkdir_at(sys::cwd(), path, 0755);
  UniqueFd folder = sys::open_dir(sys::cwd(), path);
  if (is_new) sys::fsync(sys::open_dir(folder, ".."));  // that it is there has to last, too
  return folder;
}

/// May wait as long as another copy takes; Ctrl-C ends that.
FileLock lock_layout(const std::string& path) {
  constexpr std::chrono::milliseconds kLook{50};
  for (;; std::this_thread::sleep_for(kLook)) {
    throw_if_cancelled();
    if (auto lock = FileLock::try_lock(open_layout(path), LockMode::exclusive)) return std::move(*lock);
  }
}

void require_version(const UniqueFd& folder) {
  with_context(kLayout, [&] {
    const Json json = parse_json(sys::read_all(open_part(folder, kLayout), kMaxJsonBytes), "document");
    if (const std::string version = json_string(json, "imageLayoutVersion"); version != "1.0.0")
      throw Error::make(Errc::unsupported, "version '{}', expected 1.0.0", printable(version));
  });
}

void ensure_layout(const UniqueFd& folder, const std::string& path) {
  if (try_open_regular(folder, kLayout)) return require_version(folder);
  if (!list_names(folder).empty())
    throw Error::make(Errc::invalid, "'{}' is neither empty nor an OCI layout", path);
  sys::try_mkdir_at(folder, "blobs", 0755);
  replace_file(folder, kIndex, write_index({.media_type = std::string(media_type::kIndex)}), 0644);
  replace_file(folder, kLayout, kLayoutText, 0644);
}

}  // namespace

Image read_layout(const Store& store, const std::string& path, const std::string& name,
                  const Platform& platform, Progress& progress) {
  return with_context(fmt::format("layout '{}'", path), [&] {
    const UniqueFd folder = sys::open_dir(sys::cwd(), path);
    require_version(folder);
    const ReadDocument read = [&](const Descriptor& descriptor) { return read_document(folder, descriptor); };
    Image image = read_image(read, choose_entry(read_index(folder), name), platform);
    image.descriptor = {.media_type = image.descriptor.media_type,
                        .digest = image.descriptor.digest,
                        .size = image.descriptor.size};
    for (std::size_t i = 0; i < image.manifest.layers.size(); ++i)
      take_layer(store, folder, image.manifest.layers[i], image.config.diff_ids.at(i), progress);
    put_document(store, folder, image.manifest.config);
    put_document(store, folder, image.descriptor);
    return image;
  });
}

namespace {

/// Names move to `root`; without one there is one entry that has none.
void put_entry(const UniqueFd& folder, const Descriptor& root, const std::string& name) {
  Index index = read_index(folder);
  std::erase_if(index.manifests, [&](const Descriptor& old) {
    return name.empty() ? old.digest == root.digest && name_of(old).empty() : name_of(old) == name;
  });
  Descriptor entry{.media_type = root.media_type, .digest = root.digest, .size = root.size};
  if (!name.empty()) entry.annotations[kRefName] = name;
  index.manifests.push_back(std::move(entry));
  replace_file(folder, kIndex, write_index(index), 0644);
}

/// `blobs` in an order in which each comes behind what it refers to.
void write_parts(const Store& store, std::span<const Descriptor> blobs, const Descriptor& root,
                 const std::string& path, const std::string& name) {
  with_context(fmt::format("layout '{}'", path), [&] {
    // One writer after the other: index.json and the parts of blobs are the same for all of them.
    const FileLock alone = lock_layout(path);
    ensure_layout(alone.fd(), path);
    copy_blobs(store, alone.fd(), blobs);
    put_entry(alone.fd(), root, name);
  });
}

}  // namespace

void write_layout(const Store& store, const Image& image, const std::string& path, const std::string& name) {
  std::vector<Descriptor> blobs = image.manifest.layers;
  blobs.push_back(image.manifest.config);
  blobs.push_back(image.descriptor);
  write_parts(store, blobs, image.descriptor, path, name);
}

WholeImage read_whole_layout(const Store& store, const std::string& path, const std::string& name,
                             Progress& progress) {
  return with_context(fmt::format("layout '{}'", path), [&] {
    const UniqueFd folder = sys::open_dir(sys::cwd(), path);
    require_version(folder);
    const Descriptor chosen = choose_entry(read_index(folder), name);
    const Descriptor root{.media_type = chosen.media_type, .digest = chosen.digest, .size = chosen.size};
    WholeImage whole = find_parts(root, [&](const Descriptor& document) {
      put_document(store, folder, document);
      return store.blobs().read(document.digest);
    });
    std::erase_if(whole.blobs, [&](const Descriptor& blob) {
      const auto task = progress.begin("blob " + blob.digest.short_hex(), blob.size);
      const bool is_here = take_blob(store, folder, blob, *task);
      if (!is_here && !media_type::is_foreign(blob.media_type))
        throw Error::make(Errc::not_found, "blob {} is missing", blob.digest.to_string());
      task->done(is_here ? "copied" : "kept outside of registries");
      return !is_here;
    });
    return whole;
  });
}

void write_whole_layout(const Store& store, const WholeImage& whole, const std::string& path,
                        const std::string& name) {
  std::vector<Descriptor> blobs = whole.blobs;
  blobs.insert(blobs.end(), whole.documents.begin(), whole.documents.end());
  blobs.push_back(whole.root);
  write_parts(store, blobs, whole.root, path, name);
}

}  // namespace lay::layerstore
