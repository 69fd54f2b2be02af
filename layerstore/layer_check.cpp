#include "layer_check.h"

#include <fcntl.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

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

/// Compares what is written with a file.
class ComparingSink final : public ByteSink {
 public:
  explicit ComparingSink(const UniqueFd& file) : file_(file) {}

  void write(std::span<const std::byte> bytes) override {
    buffer_.resize(std::max(buffer_.size(), bytes.size()));
    while (is_same_ && !bytes.empty()) {
      const std::size_t count = sys::pread_some(file_, std::span(buffer_).first(bytes.size()), offset_);
      is_same_ = count > 0 &&
                 std::equal(buffer_.begin(), std::next(buffer_.begin(), static_cast<std::ptrdiff_t>(count)),
                            bytes.begin());
      bytes = bytes.subspan(count);
      offset_ += count;
    }
  }
  /// Whether the file holds that and nothing more.
  bool is_same() const {
    return is_same_ && offset_ == static_cast<std::uint64_t>(sys::stat_of(file_).st_size);
  }

 private:
  const UniqueFd& file_;
  std::vector<std::byte> buffer_;
  std::uint64_t offset_ = 0;
  bool is_same_ = true;
};

std::uint64_t verify_mounted(const OpenLayer& layer, const Digest& diff_id) {
  FdSource source(layer.tar);
  HashingSource hashed(source, diff_id.algorithm());
  const auto broken = [&](const std::string& what) {
    return Error::make(Errc::corrupt, "{}, expected diff_id {}", what, diff_id.to_string());
  };
  std::optional<IndexedLayer> indexed;
  try {
    indexed = index_layer(hashed);
  } catch (const Error& error) {
    throw broken("its tar cannot be read: " + error.message());
  }
  if (const Digest got = hashed.digest(); got != diff_id) throw broken("got " + got.to_string());
  if (layer.implied != indexed->stats.implied)
    throw broken("its list of implied folders is not that of its tar");
  ComparingSink written(layer.image);
  write_erofs(indexed->tree, hashed.size(), written);
  if (!written.is_same()) throw broken("its image is not that of its tar");
  indexed.reset();  // of a layer with many files each of the two trees takes its memory
  const std::string image = sys::read_all(layer.image, std::numeric_limits<std::uint32_t>::max());
  read_erofs(image, hashed.size());
  return hashed.size() + image.size();
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
