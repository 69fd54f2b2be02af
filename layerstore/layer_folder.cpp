#include "layer_folder.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/folder_names.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "erofs_writer.h"
#include "layer_stream.h"
#include "layerstore/codec.h"
#include "layerstore/media_types.h"
#include "sparse_file.h"
#include "store_file.h"
#include "tree_builder.h"

namespace lay::layerstore {

namespace {

constexpr const char* kImplied = "implied";
constexpr const char* kNewImage = "layer.erofs.new";
constexpr const char* kNotePrefix = "from.";
constexpr const char* kBoot = "boot";
constexpr const char* kSynced = "synced";
constexpr std::size_t kMaxImplied = 256 * 1024 * 1024;
constexpr std::size_t kMaxBootId = 64;

std::string blob_note(const Descriptor& blob) {
  return fmt::format("{}{}.{}.{}", kNotePrefix, to_string(media_type::compression_of(blob.media_type)),
                     blob.digest.algorithm_name(), blob.digest.hex());
}

UniqueFd create(const UniqueFd& dir, const std::string& name) {
  return sys::open_at(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
}

void write_file(const UniqueFd& dir, const std::string& name, std::string_view text) {
  sys::try_unlink_at(dir, name);
  sys::write_all(create(dir, name), text);
}

void write_implied(const UniqueFd& dir, const std::vector<std::string>& folders) {
  sys::try_unlink_at(dir, kImplied);
  if (folders.empty()) return;
  std::string text;
  for (const std::string& folder : folders) text += folder + '\0';
  write_file(dir, kImplied, text);
}

/// Whole, or not at all: what is there keeps its place until then.
void write_image(const UniqueFd& dir, const LayerTree& tree, std::uint64_t tar_size) {
  sys::try_unlink_at(dir, kNewImage);
  const UniqueFd image = create(dir, kNewImage);
  FdSink sink(image);
  write_erofs(tree, tar_size, sink);
  sys::rename_at(dir, kNewImage, dir, kLayerImage);
}

ApplyStats unpack(const UniqueFd& dir, ByteSource& tar) {
  sys::mkdir_at(dir, kLayerTree, 0700);
  ApplyStats stats = apply_layer(tar, sys::open_dir(dir, kLayerTree));
  write_implied(dir, stats.implied);
  return stats;
}

/// A layer that exceeds the format of the mounted form is unpacked from its tar, which stays beside it.
void unpack_instead(const UniqueFd& dir, const UniqueFd& tar) {
  sys::try_unlink_at(dir, kNewImage);
  FdSource source(tar);
  unpack(dir, source);
}

ApplyStats write_mounted_form(const UniqueFd& dir, ByteSource& source, Durability durability) {
  const UniqueFd tar = create(dir, kLayerTar);
  SparseFileSink file(tar, durability);
  TeeSource teed(source, file);
  IndexedLayer indexed = index_layer(teed);
  file.finish();
  write_implied(dir, indexed.stats.implied);
  write_file(dir, kBoot, sys::boot_id());
  try {
    write_image(dir, indexed.tree, indexed.stats.bytes);
  } catch (const Error& error) {
    if (error.code() != Errc::unsupported) throw;
    unpack_instead(dir, sys::open_at(dir, kLayerTar, O_RDONLY | O_NOFOLLOW));
  }
  return indexed.stats;
}

}  // namespace

ApplyStats write_layer_folder(const UniqueFd& dir, ByteSource& tar, LayerForm form, Durability durability) {
  return form == LayerForm::erofs ? write_mounted_form(dir, tar, durability) : unpack(dir, tar);
}

std::optional<LayerForm> find_layer_form(const UniqueFd& layers, const std::string& name) {
  const auto image = sys::try_stat_at(layers, name + "/" + kLayerImage);
  if (image && S_ISREG(image->st_mode)) return LayerForm::erofs;
  const auto tree = sys::try_stat_at(layers, name + "/" + kLayerTree);
  if (tree && S_ISDIR(tree->st_mode)) return LayerForm::tree;
  return std::nullopt;
}

std::vector<std::string> read_implied(const UniqueFd& dir) {
  const auto file = try_open_regular(dir, kImplied);
  if (!file) return {};
  const std::string text = sys::read_all(*file, kMaxImplied);
  std::vector<std::string> folders;
  for (std::size_t begin = 0; begin < text.size();) {
    folders.emplace_back(text.c_str() + begin);
    begin += folders.back().size() + 1;
  }
  return folders;
}

void note_blob(const UniqueFd& dir, const Descriptor& blob) {
  sys::open_at(dir, blob_note(blob), O_WRONLY | O_CREAT | O_NOFOLLOW, 0600);
}

void copy_blob_notes(const UniqueFd& from, const UniqueFd& to) {
  for (const std::string& name : list_names(from))
    if (name.starts_with(kNotePrefix))
      sys::open_at(to, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
}

bool has_blob_note(const UniqueFd& dir, const Descriptor& blob) {
  return sys::try_stat_at(dir, blob_note(blob)).has_value();
}

bool is_trustworthy(const UniqueFd& dir) {
  if (sys::try_stat_at(dir, kLayerTree) || sys::try_stat_at(dir, kSynced)) return true;
  const auto boot = try_open_regular(dir, kBoot);
  return boot && sys::read_all(*boot, kMaxBootId) == sys::boot_id();
}

void recover_layer_folder(const UniqueFd& dir, const Digest& diff_id) {
  const auto tar = try_open_regular(dir, kLayerTar);
  if (!tar) throw Error::make(Errc::corrupt, "layer {} has lost its tar", diff_id.to_string());
  FdSource source(*tar);
  HashingSource hashed(source, diff_id.algorithm());
  const IndexedLayer indexed = index_layer(hashed);
  if (const Digest got = hashed.digest(); got != diff_id)
    throw Error::make(Errc::corrupt, "layer: got diff_id {}, expected {}", got.to_string(),
                      diff_id.to_string());
  write_implied(dir, indexed.stats.implied);
  write_image(dir, indexed.tree, indexed.stats.bytes);
  with_context("write a layer", [&] { sys::syncfs(dir); });
  write_file(dir, kSynced, "");
  sys::fsync(dir);
}

}  // namespace lay::layerstore
