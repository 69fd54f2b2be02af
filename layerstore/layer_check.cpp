#include "layer_check.h"

#include <fcntl.h>

#include <limits>
#include <string>

#include "base/error.h"
#include "base/syscalls.h"
#include "erofs_reader.h"
#include "erofs_writer.h"
#include "layer_folder.h"
#include "layer_stream.h"
#include "layerstore/codec.h"
#include "layerstore/diff.h"
#include "layerstore/ingest.h"
#include "layerstore/media_types.h"
#include "tree_builder.h"

namespace lay::layerstore {

namespace {

std::uint64_t verify_mounted(const OpenLayer& layer, const Digest& diff_id) {
  FdSource source(layer.tar);
  HashingSource hashed(source, diff_id.algorithm());
  const auto broken = [&](const std::string& what) {
    return Error::make(Errc::corrupt, "{}, expected diff_id {}", what, diff_id.to_string());
  };
  IndexedLayer indexed;
  try {
    indexed = index_layer(hashed);
  } catch (const Error& error) {
    throw broken("its tar cannot be read: " + error.message());
  }
  if (const Digest got = hashed.digest(); got != diff_id) throw broken("got " + got.to_string());
  StringSink image;
  write_erofs(indexed.tree, hashed.size(), image);
  if (sys::read_all(layer.image, std::numeric_limits<std::uint32_t>::max()) != image.text())
    throw broken("its image is not that of its tar");
  read_erofs(image.text(), hashed.size());
  if (layer.implied != indexed.stats.implied)
    throw broken("its list of implied folders is not that of its tar");
  return hashed.size() + image.text().size();
}

/// What the tree holds, as one digest: the walk is in a fixed order.
Digest digest_of_tree(const UniqueFd& tree) {
  class NoSink final : public ByteSink {
   public:
    void write(std::span<const std::byte>) override {}
  } nowhere;
  HashingSink hashed(nowhere);
  write_diff(tree, TreeKind::upper, hashed);
  return hashed.digest();
}

std::uint64_t verify_unpacked(const Store& store, const OpenLayer& layer, const Digest& diff_id,
                              const Descriptor& blob) {
  const UniqueFd root = sys::open_dir(sys::cwd(), store.path());
  const Ingest scratch = Ingest::begin(root);
  const UniqueFd file = store.blobs().open(blob.digest);
  FdSource stored(file);
  const auto plain = make_decompressor(media_type::compression_of(blob.media_type), stored);
  HashingSource hashed(*plain, diff_id.algorithm());
  const ApplyStats stats = write_layer_folder(scratch.dir(), hashed, LayerForm::tree);
  drain(hashed);
  if (const Digest got = hashed.digest(); got != diff_id)
    throw Error::make(Errc::corrupt, "its blob has diff_id {}, expected {}", got.to_string(),
                      diff_id.to_string());
  const UniqueFd tree = sys::open_dir(sys::cwd(), layer.tree_path);
  if (digest_of_tree(tree) != digest_of_tree(sys::open_dir(scratch.dir(), kLayerTree)) ||
      layer.implied != stats.implied)
    throw Error::make(Errc::corrupt, "its files are not those of its blob, diff_id {}", diff_id.to_string());
  return hashed.size();
}

}  // namespace

std::uint64_t verify_layer(const Store& store, const Digest& diff_id, const std::optional<Descriptor>& blob) {
  const OpenLayer layer = store.layers().open(diff_id);
  if (layer.form == LayerForm::erofs) return verify_mounted(layer, diff_id);
  return blob ? verify_unpacked(store, layer, diff_id, *blob) : 0;
}

bool is_unchecked(const Store& store, const Digest& diff_id) {
  const UniqueFd layers = sys::open_dir(sys::cwd(), store.path() + "/layers");
  const auto dir = sys::try_open_at(layers, diff_id.hex(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  return dir && !is_trustworthy(*dir);
}

}  // namespace lay::layerstore
