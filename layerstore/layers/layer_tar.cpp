#include "layers/layer_tar.h"

#include <utility>

#include "base/error.h"
#include "base/syscalls.h"
#include "layers/layer_stream.h"
#include "layerstore/media_types.h"

namespace lay::layerstore {

LayerTar::LayerTar(const Store& store, const Descriptor& blob, const Digest& diff_id)
    : store_(store), blob_(blob), diff_id_(diff_id) {
  if (!store.layers().has(diff_id)) return;
  OpenLayer layer = store.layers().open(diff_id);
  if (layer.form == LayerForm::erofs) tar_ = std::move(layer.tar);
}

std::uint64_t LayerTar::size() const {
  if (tar_) return static_cast<std::uint64_t>(sys::stat_of(tar_).st_size);
  std::uint64_t bytes = 0;
  read([&](ByteSource& source) {
    HashingSource counted(source);
    drain(counted);
    bytes = counted.size();
  });
  return bytes;
}

void LayerTar::read(const std::function<void(ByteSource& tar)>& consume) const {
  const UniqueFd file = tar_ ? sys::dup_fd(tar_) : store_.blobs().open(blob_.digest);
  FdSource bytes(file);
  const auto compression = tar_ ? Compression::none : media_type::compression_of(blob_.media_type);
  const auto plain = make_decompressor(compression, bytes);
  HashingSource hashed(*plain, diff_id_.algorithm());
  consume(hashed);
  if (const Digest got = hashed.digest(); got != diff_id_)
    throw Error::make(Errc::corrupt, "got diff_id {}, expected {}", got.to_string(), diff_id_.to_string())
        .with_hint("lay fsck --repair");
}

}  // namespace lay::layerstore
