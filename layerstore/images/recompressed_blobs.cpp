#include "images/recompressed_blobs.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <utility>

#include "base/error.h"
#include "base/folder_names.h"
#include "base/json.h"
#include "base/syscalls.h"
#include "layerstore/media_types.h"
#include "layerstore/recompress.h"
#include "store/store_file.h"

namespace lay::layerstore {

namespace {

constexpr const char* kFolder = "recompressed";
constexpr std::size_t kMaxRecord = 256 * 1024;

std::string name_of(const Digest& diff_id, const CompressOptions& options) {
  return fmt::format("{}.{}.{}.{}", diff_id.algorithm_name(), diff_id.hex(), to_string(options.compression),
                     options.level);
}

std::optional<UniqueFd> open_folder(const UniqueFd& root) {
  return sys::try_open_at(root, kFolder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

std::optional<Descriptor> read_record(const UniqueFd& folder, const std::string& name) {
  try {
    const auto file = try_open_regular(folder, name);
    if (!file) return std::nullopt;
    return parse_descriptor(parse_json(sys::read_all(*file, kMaxRecord), "record of a compressed layer"));
  } catch (const Error&) {  // what cannot be read is made again
    return std::nullopt;
  }
}

/// Empty, too, when its blob is not there.
std::optional<Descriptor> read_present(const UniqueFd& folder, const std::string& name,
                                       const BlobStore& blobs) {
  auto blob = read_record(folder, name);
  return blob && blobs.size(blob->digest) == blob->size ? std::move(blob) : std::nullopt;
}

}  // namespace

std::optional<int> RecompressedBlobs::find_level(const Digest& diff_id, const Descriptor& blob) const {
  const auto folder = open_folder(root_);
  const Compression compression = media_type::compression_of(blob.media_type);
  if (!folder || compression == Compression::none) return std::nullopt;
  for (int level = 1; level <= highest_level(compression); ++level) {
    const auto made = read_record(*folder, name_of(diff_id, {.compression = compression, .level = level}));
    if (made && made->digest == blob.digest) return level;
  }
  return std::nullopt;
}

std::optional<Descriptor> RecompressedBlobs::find(const Digest& diff_id,
                                                  const CompressOptions& options) const {
  const auto folder = open_folder(root_);
  return folder ? read_present(*folder, name_of(diff_id, options), blobs_) : std::nullopt;
}

void RecompressedBlobs::note(const Digest& diff_id, const CompressOptions& options,
                             const Descriptor& blob) const {
  sys::try_mkdir_at(root_, kFolder, 0700);
  publish_file(root_, sys::open_dir(root_, kFolder), name_of(diff_id, options), dump_json(to_json(blob)));
}

void RecompressedBlobs::keep_only(const std::function<bool(const Digest& blob)>& is_needed) const {
  const auto folder = open_folder(root_);
  if (!folder) return;
  for (const std::string& name : list_names(*folder)) {
    const auto blob = read_record(*folder, name);
    if (!blob || !is_needed(blob->digest)) sys::try_unlink_at(*folder, name);
  }
}

}  // namespace lay::layerstore
