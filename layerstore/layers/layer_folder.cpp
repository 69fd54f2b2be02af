#include "layers/layer_folder.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <utility>

#include "base/error.h"
#include "base/folder_names.h"
#include "base/remove_tree.h"
#include "base/syncing.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "erofs/tree_builder.h"
#include "layers/layer_image.h"
#include "layers/layer_stream.h"
#include "layers/sparse_file.h"
#include "layerstore/codec.h"
#include "layerstore/media_types.h"
#include "store/list_file.h"
#include "store/store_file.h"

namespace lay::layerstore {

namespace {

constexpr const char* kImplied = "implied";
constexpr const char* kEntered = "entered";
constexpr const char* kWhiteouts = "whiteouts";
constexpr const char* kOwners = "owners";
constexpr char kUserMark = 'u';
constexpr char kGroupMark = 'g';
constexpr const char* kLinks = "links";
constexpr const char* kLandedPrefix = "landed.";
constexpr const char* kNewImage = "layer.erofs.new";
constexpr const char* kNotePrefix = "from.";
constexpr const char* kBoot = "boot";
constexpr const char* kSynced = "synced";
constexpr std::size_t kMaxBootId = 64;

std::string blob_note(const Descriptor& blob) {
  return fmt::format("{}{}.{}.{}", kNotePrefix, to_string(media_type::compression_of(blob.media_type)),
                     blob.digest.algorithm_name(), blob.digest.hex());
}

std::vector<std::string> items_of(std::span<const LowerLink> links) {
  std::vector<std::string> items;
  for (const LowerLink& link : links) {
    items.push_back(link.path);
    items.push_back(link.target);
  }
  return items;
}

UniqueFd create(const UniqueFd& dir, const std::string& name) {
  return sys::open_at(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
}

void write_file(const UniqueFd& dir, const std::string& name, std::string_view text) {
  sys::try_unlink_at(dir, name);
  sys::write_all(create(dir, name), text);
}

void add_items(std::vector<std::string>& items, char kind, const IdRanges& ids) {
  for (const IdRange& range : ids.ranges())
    if (range.last > 0) items.push_back(fmt::format("{}{}-{}", kind, range.first, range.last));
}

/// Nothing else tells whether the record is what was written: it is no part of the image, and not synced.
std::string owner_seal(const std::vector<std::string>& items) {
  return "=" + digest_of(join_list(items)).hex();
}

std::vector<std::string> owner_items(const OwnerIds& owners) {
  std::vector<std::string> items;
  add_items(items, kUserMark, owners.uids);
  add_items(items, kGroupMark, owners.gids);
  items.push_back(owner_seal(items));
  return items;
}

std::optional<IdRange> parse_range(std::string_view text) {
  const std::size_t dash = std::min(text.find('-'), text.size());
  const auto first = parse_number(text.substr(0, dash));
  const auto last = parse_number(text.substr(std::min(dash + 1, text.size())));
  if (!first || !last || *first > *last || *last > UINT32_MAX) return std::nullopt;
  return IdRange{static_cast<std::uint32_t>(*first), static_cast<std::uint32_t>(*last)};
}

}  // namespace

void write_owners(const UniqueFd& dir, const OwnerIds& owners) {
  write_list(dir, kOwners, owner_items(owners));
}

namespace {

/// What the layer's folder tells beside its files.
void write_notes(const UniqueFd& dir, const ApplyStats& stats) {
  write_list(dir, kImplied, stats.folders.implied);
  write_list(dir, kWhiteouts, stats.folders.with_whiteouts);
  write_list(dir, kEntered, stats.folders.entered);
  write_owners(dir, stats.owners);
}

/// Whole, or not at all: what is there keeps its place until then.
void write_image(const UniqueFd& dir, const IndexedLayer& layer) {
  sys::try_unlink_at(dir, kNewImage);
  const UniqueFd image = create(dir, kNewImage);
  FdSink sink(image);
  write_layer_image(layer.tree, layer.stats.bytes, layer.stats.folders, sink);
  sys::rename_at(dir, kNewImage, dir, kLayerImage);
}

ApplyStats unpack(const UniqueFd& dir, ByteSource& tar, ApplyOptions options = {}) {
  options.spill = spill_beside(dir);
  sys::mkdir_at(dir, kLayerTree, 0700);
  ApplyStats stats = apply_layer(tar, sys::open_dir(dir, kLayerTree), options);
  write_notes(dir, stats);
  return stats;
}

/// A layer that exceeds the format of the mounted form is unpacked from its tar, which stays beside it.
void unpack_instead(const UniqueFd& dir, const UniqueFd& tar) {
  sys::try_unlink_at(dir, kNewImage);
  FdSource source(tar);
  unpack(dir, source);
}

ApplyStats write_mounted_form(const UniqueFd& dir, ByteSource& source, Durability durability,
                              const ApplyOptions& options) {
  const UniqueFd tar = create(dir, kLayerTar);
  SparseFileSink file(tar, durability);
  TeeSource teed(source, file);
  ApplyOptions indexing = options;
  indexing.spill = spill_beside(dir);
  IndexedLayer indexed = index_layer(teed, indexing);
  file.finish();
  write_notes(dir, indexed.stats);
  write_file(dir, kBoot, sys::boot_id());
  try {
    write_image(dir, indexed);
  } catch (const Error& error) {
    if (error.code() != Errc::unsupported) throw;
    unpack_instead(dir, sys::open_at(dir, kLayerTar, O_RDONLY | O_NOFOLLOW));
  }
  return indexed.stats;
}

}  // namespace

ApplyStats write_layer_folder(const UniqueFd& dir, ByteSource& tar, LayerForm form, Durability durability,
                              const ApplyOptions& options) {
  return form == LayerForm::erofs ? write_mounted_form(dir, tar, durability, options)
                                  : unpack(dir, tar, options);
}

void write_landed_folder(const UniqueFd& dir, ByteSource& tar, LayerForm form,
                         std::span<const LowerLink> links) {
  write_list(dir, kLinks, items_of(links));
  if (form == LayerForm::tree) {
    unpack(dir, tar, {.links = links});
    return;
  }
  const IndexedLayer indexed = index_layer(tar, {.links = links, .spill = spill_beside(dir)});
  write_notes(dir, indexed.stats);
  write_file(dir, kBoot, sys::boot_id());
  write_image(dir, indexed);
}

std::optional<OwnerIds> try_read_owners(const UniqueFd& dir) {
  std::vector<std::string> items = read_list(dir, kOwners);
  if (items.empty()) return std::nullopt;
  const std::string seal = std::exchange(items.back(), {});
  items.pop_back();
  if (seal != owner_seal(items)) return std::nullopt;
  OwnerIds owners;
  for (const std::string& item : items) {
    const auto range = item.empty() ? std::nullopt : parse_range(std::string_view(item).substr(1));
    if (!range || (item[0] != kUserMark && item[0] != kGroupMark)) return std::nullopt;
    (item[0] == kUserMark ? owners.uids : owners.gids).add(*range);
  }
  return owners;
}

bool has_owners(const UniqueFd& dir, const OwnerIds& owners) {
  const std::vector<std::string> expected = owner_items(owners);
  const bool is_all_of_root = expected.size() == 1;
  if (is_all_of_root && !sys::try_stat_at(dir, kOwners)) return true;
  return read_list(dir, kOwners) == expected;
}

std::vector<LowerLink> read_links(const UniqueFd& dir) {
  const std::vector<std::string> parts = read_list(dir, kLinks);
  std::vector<LowerLink> links;
  for (std::size_t i = 0; i + 1 < parts.size(); i += 2) links.push_back({parts[i], parts[i + 1]});
  return links;
}

std::string landed_name(std::span<const LowerLink> links) {
  return kLandedPrefix + digest_of(join_list(items_of(links))).hex();
}

std::vector<std::string> landed_folders(const UniqueFd& dir) {
  std::vector<std::string> names = list_names(dir);
  std::erase_if(names, [](const std::string& name) { return !name.starts_with(kLandedPrefix); });
  return names;
}

std::optional<LayerForm> find_layer_form(const UniqueFd& layers, const std::string& name) {
  const auto image = sys::try_stat_at(layers, name + "/" + kLayerImage);
  if (image && S_ISREG(image->st_mode)) return LayerForm::erofs;
  const auto tree = sys::try_stat_at(layers, name + "/" + kLayerTree);
  if (tree && S_ISDIR(tree->st_mode)) return LayerForm::tree;
  return std::nullopt;
}

StackedFolders read_folders(const UniqueFd& dir) {
  return {.implied = read_list(dir, kImplied),
          .with_whiteouts = read_list(dir, kWhiteouts),
          .entered = read_list(dir, kEntered)};
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
  if (sys::try_stat_at(dir, kLayerTree) || is_synced(dir)) return true;
  const auto boot = try_open_regular(dir, kBoot);
  return boot && sys::stat_of(*boot).st_size <= static_cast<off_t>(kMaxBootId) &&
         sys::read_all(*boot, kMaxBootId) == sys::boot_id();
}

bool is_synced(const UniqueFd& dir) {
  return sys::try_stat_at(dir, kSynced).has_value();
}

namespace {

void note_synced(const UniqueFd& dir) {
  if (is_syncing()) write_file(dir, kSynced, "");
  sys::fsync(dir);
}

}  // namespace

void sync_layer_folder(const UniqueFd& dir) {
  for (const std::string& name : list_names(dir)) {
    const auto status = sys::try_stat_at(dir, name);
    if (!status || !S_ISREG(status->st_mode)) continue;
    with_context("write a layer", [&] { sys::fsync(sys::open_at(dir, name, O_RDONLY | O_NOFOLLOW)); });
  }
  note_synced(dir);
}

IndexedLayer index_stored_tar(const UniqueFd& dir, const Digest& diff_id) {
  const auto tar = try_open_regular(dir, kLayerTar);
  if (!tar) throw Error::make(Errc::corrupt, "layer {} has lost its tar", diff_id.to_string());
  FdSource source(*tar);
  HashingSource hashed(source, diff_id.algorithm());
  IndexedLayer indexed = index_layer(hashed, {.spill = spill_beside(dir)});
  if (const Digest got = hashed.digest(); got != diff_id)
    throw Error::make(Errc::corrupt, "layer: got diff_id {}, expected {}", got.to_string(),
                      diff_id.to_string());
  return indexed;
}

void rewrite_layer_folder(const UniqueFd& dir, const IndexedLayer& indexed) {
  write_notes(dir, indexed.stats);
  write_image(dir, indexed);
  for (const std::string& landed : landed_folders(dir)) remove_tree(dir, landed);
  with_context("write a layer", [&] { sys::syncfs(dir); });
  note_synced(dir);
}

}  // namespace lay::layerstore
