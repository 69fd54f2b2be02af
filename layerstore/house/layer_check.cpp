#include "house/layer_check.h"

#include <fcntl.h>

#include <algorithm>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/syscalls.h"
#include "erofs/erofs_reader.h"
#include "erofs/tree_builder.h"
#include "layers/layer_folder.h"
#include "layers/layer_image.h"
#include "layers/layer_stream.h"
#include "layerstore/codec.h"
#include "layerstore/damage.h"
#include "layerstore/diff.h"
#include "layerstore/ingest.h"
#include "layerstore/media_types.h"
#include "layerstore/store_spill.h"

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

std::uint64_t verify_mounted(const OpenLayer& layer, const UniqueFd& dir, const Digest& diff_id,
                             const Spill& spill) {
  FdSource source(layer.tar);
  HashingSource hashed(source, diff_id.algorithm());
  const auto broken = [&](const std::string& what) {
    return Error::make(Errc::corrupt, "{}, expected diff_id {}", what, diff_id.to_string());
  };
  std::optional<IndexedLayer> indexed;
  try {
    indexed = index_layer(hashed, {.spill = spill});
  } catch (const Error& error) {
    if (!is_damage(error)) throw;
    throw broken("its tar cannot be read: " + error.message());
  }
  if (const Digest got = hashed.digest(); got != diff_id) throw broken("got " + got.to_string());
  if (layer.folders != indexed->stats.folders) throw broken("its lists of folders are not those of its tar");
  if (!has_owners(dir, indexed->stats.owners)) throw broken("its record of owners is not that of its tar");
  ComparingSink written(layer.image);
  write_layer_image(indexed->tree, hashed.size(), indexed->stats.folders, written);
  if (!written.is_same()) throw broken("its image is not that of its tar");
  indexed.reset();  // of a layer with many files each of the two trees takes its memory
  SpillMemory memory(spill);
  const std::string_view image = load_layer_image(layer.image, memory);
  read_erofs(image, hashed.size(), spill, &memory);
  return hashed.size() + image.size() + kSealSize;
}

/// What the tree holds, as one digest: the walk is in a fixed order.
Digest digest_of_tree(const UniqueFd& tree, const Spill& spill) {
  class NoSink final : public ByteSink {
   public:
    void write(std::span<const std::byte>) override {}
  } nowhere;
  HashingSink hashed(nowhere);
  write_diff(tree, TreeKind::trusted_upper, hashed, {}, spill);
  return hashed.digest();
}

/// Runs what is fsck's own work: that its files cannot be written or read says nothing of the layer.
template <class Work>
auto as_own_work(const Store& store, Work&& work) {
  try {
    return std::forward<Work>(work)();
  } catch (const Error& error) {
    const bool is_full = error.code() == Errc::no_space;
    if (!is_full && !is_unreadable(error) && error.code() != Errc::not_found) throw;
    throw Error::make(is_full ? Errc::no_space : Errc::io, "unpack it once more under '{}/ingest': {}",
                      store.path(), error.message())
        .with_hint(is_full ? error.hint()
                           : "the kernel's log (dmesg) tells more of the disk; then try again");
  }
}

/// `dir` is the layer's folder, or one of those in it where the layer is landed.
std::uint64_t verify_unpacked(const Store& store, const UniqueFd& dir, const Digest& diff_id,
                              const Descriptor& blob) {
  const UniqueFd root = sys::open_dir(sys::cwd(), store.path());
  const std::vector<LowerLink> links = read_links(dir);
  const auto digest_in = [&](const UniqueFd& folder) {
    return digest_of_tree(sys::open_dir(folder, kLayerTree), spill_in(store));
  };
  const Ingest scratch = as_own_work(store, [&] { return Ingest::begin(root); });
  std::uint64_t size = 0;
  const Digest expected = as_own_work(store, [&] {
    size = with_stored_tar(store.blobs(), blob, diff_id, [&](ByteSource& tar) {
      write_landed_folder(scratch.dir(), tar, LayerForm::tree, links);
    });
    return digest_in(scratch.dir());
  });
  if (digest_in(dir) != expected || read_folders(dir) != read_folders(scratch.dir()) ||
      !has_owners(dir, try_read_owners(scratch.dir()).value()))
    throw Error::make(Errc::corrupt, "its files are not those of its blob, diff_id {}", diff_id.to_string());
  return size;
}

/// Those that are mounted are looked at whenever they are used.
std::uint64_t verify_landed_trees(const Store& store, const UniqueFd& dir, const Digest& diff_id,
                                  const Descriptor& blob) {
  std::uint64_t size = 0;
  for (const std::string& name : landed_folders(dir)) {
    const UniqueFd landed = sys::open_dir(dir, name);
    if (name != landed_name(read_links(landed)))
      throw Error::make(Errc::corrupt, "'{}' in it has other links than its name says", name);
    size += verify_unpacked(store, landed, diff_id, blob);
  }
  return size;
}

UniqueFd open_layer_folder(const Store& store, const Digest& diff_id) {
  return sys::open_dir(sys::cwd(), store.path() + "/layers/" + diff_id.hex());
}

}  // namespace

std::uint64_t verify_layer(const Store& store, const Digest& diff_id, const std::optional<Descriptor>& blob) {
  const OpenLayer layer = store.layers().open(diff_id);
  const UniqueFd dir = open_layer_folder(store, diff_id);
  if (layer.form == LayerForm::erofs) return verify_mounted(layer, dir, diff_id, spill_in(store));
  if (!blob) return 0;
  return verify_unpacked(store, dir, diff_id, *blob) + verify_landed_trees(store, dir, diff_id, *blob);
}

bool is_unchecked(const Store& store, const Digest& diff_id) {
  const UniqueFd layers = sys::open_dir(sys::cwd(), store.path() + "/layers");
  const auto dir = sys::try_open_at(layers, diff_id.hex(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  return dir && !is_trustworthy(*dir);
}

}  // namespace lay::layerstore
