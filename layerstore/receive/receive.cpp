#include <exception>
#include <system_error>
#include <thread>

#include "base/error.h"
#include "base/syscalls.h"
#include "layers/exact_tar.h"
#include "layers/layer_stream.h"
#include "layerstore/commit.h"
#include "layerstore/damage.h"
#include "layerstore/layer_pair.h"
#include "layerstore/media_types.h"
#include "receive/followed_part.h"
#include "receive/kept_bytes.h"
#include "receive/known_blobs.h"

namespace lay::layerstore {

void require_pair(const Store& store, const Descriptor& blob, const Digest& diff_id) {
  if (store.layers().is_from(diff_id, blob)) return;
  with_context(fmt::format("layer {}", blob.digest.to_string()), [&] {
    const UniqueFd file = store.blobs().open(blob.digest);
    FdSource stored(file);
    verify_diff_id(stored, blob, diff_id, store.layers().limits());
  });
  if (store.layers().has(diff_id)) store.layers().note_blob(diff_id, blob);
}

void require_pairs(const Store& store, const Image& image) {
  for (std::size_t i = 0; i < image.manifest.layers.size(); ++i) {
    const Descriptor& blob = image.manifest.layers[i];
    if (!media_type::is_foreign(blob.media_type) && store.blobs().has(blob.digest))
      require_pair(store, blob, image.config.diff_ids.at(i));
  }
}

namespace {

/// `stored` gives all bytes of the blob as they go through `writer`.
void take_in(const Store& store, BlobWriter& writer, ByteSource& stored, const Descriptor& blob,
             const Digest& diff_id) {
  if (store.layers().is_sound(diff_id)) {
    hash_verified(stored, blob, diff_id, store.layers().limits(), [&] { writer.verify(blob); });
    writer.commit(blob);
    store.layers().note_blob(diff_id, blob);
    return;
  }
  LayerWriter layer = store.layers().begin(diff_id.algorithm());
  unpack_verified(stored, blob, diff_id, store.layers().limits(), layer, [&] { writer.verify(blob); });
  // Both are verified now. The blob first: a layer can be made again from its
  // blob, not the other way round.
  writer.commit(blob);
  layer.note_blob(blob);
  layer.commit(diff_id);
}

/// Writes on a thread of its own what `take` reads here. Both have ended when this returns; the first failure
/// is rethrown.
void fetch_while(FollowedPart& part, const std::function<void()>& write, const std::function<void()>& take) {
  const auto guarded = [&](const std::function<void()>& work) {
    try {
      work();
    } catch (...) {
      part.abort(std::current_exception());
    }
  };
  {
    std::jthread writing;
    guarded([&] {
      try {
        writing = std::jthread([&] { guarded(write); });
      } catch (const std::system_error& error) {
        throw Error::from_number(error.code().value(), "start a thread");
      }
      take();
    });
  }
  part.throw_if_aborted();
}

/// Goes on with what an earlier call had kept. False when that may be at fault; it is thrown away then.
template <class Take>
bool try_resume(const Store& store, const Descriptor& blob, Take&& take) {
  BlobWriter writer = store.blobs().resume(blob);
  try {
    take(writer);
    return true;
  } catch (const Error& error) {
    if (is_wrong(error) && writer.kept() > 0) return false;
    if (may_pass(error)) writer.keep();
    throw;
  }
}

bool try_receive(const Store& store, const Descriptor& blob, const Digest& diff_id, const FetchRest& fetch,
                 Slots& makers, const std::function<void()>& check) {
  return try_resume(store, blob, [&](BlobWriter& writer) {
    FollowedPart part(writer, blob.size);
    const auto write = [&] {
      part.write_kept();
      try {
        if (writer.kept() < blob.size) fetch(writer.kept(), part);
      } catch (...) {
        part.flush();  // so that it is kept
        throw;
      }
      part.finish();
    };
    fetch_while(part, write, [&] {
      const Slots::Taken turn = makers.take([&] {
        part.throw_if_aborted();
        check();
      });
      ExactSource stored(part.reader(), blob.size);
      take_in(store, writer, stored, blob, diff_id);
    });
  });
}

}  // namespace

void receive_layer(const Store& store, ByteSource& compressed, const Descriptor& blob,
                   const Digest& diff_id) {
  with_context(fmt::format("layer {}", blob.digest.to_string()), [&] {
    BlobWriter writer = store.blobs().begin(blob.digest.algorithm());
    ExactSource exact(compressed, blob.size);
    TeeSource stored(exact, writer);
    take_in(store, writer, stored, blob, diff_id);
  });
}

void receive_layer(const Store& store, const Descriptor& blob, const Digest& diff_id, const FetchRest& fetch,
                   Slots& makers, const std::function<void()>& check) {
  with_context(fmt::format("layer {}", blob.digest.to_string()), [&] {
    while (!try_receive(store, blob, diff_id, fetch, makers, check)) {
    }
  });
}

void receive_blob(const Store& store, const Descriptor& blob, const FetchRest& fetch) {
  const auto take = [&](BlobWriter& writer) {
    read_kept(writer, writer);
    if (writer.kept() < blob.size) fetch(writer.kept(), writer);
    writer.commit(blob);
  };
  while (!try_resume(store, blob, take)) {
  }
}

bool store_plain_blob(const Store& store, const Descriptor& blob, const Digest& diff_id) {
  if (blob.digest != diff_id || !store.layers().is_sound(diff_id)) return false;
  if (!has_exact_tar(store.layers(), diff_id)) return false;
  const OpenLayer layer = store.layers().open(diff_id);
  if (static_cast<std::uint64_t>(sys::stat_of(layer.tar).st_size) != blob.size) return false;
  store.blobs().adopt(layer.tar, diff_id);
  store.layers().note_blob(diff_id, blob);
  return true;
}

void ensure_layer(const Store& store, const Descriptor& blob, const Digest& diff_id) {
  if (!store.layers().has(diff_id) && !store.blobs().has(blob.digest))
    if (const auto other = KnownBlobs(store).find(diff_id))
      return store.layers().ensure(diff_id, *other, store.blobs());
  store.layers().ensure(diff_id, blob, store.blobs());
  if (store.layers().is_from(diff_id, blob) || !store.blobs().is_whole(blob)) return;
  require_pair(store, blob, diff_id);
}

bool is_layer_stored(const Store& store, const Descriptor& blob, const Digest& diff_id) {
  if (!store.blobs().is_whole(blob)) return false;
  if (!store.layers().has(diff_id)) {
    store.layers().ensure(diff_id, blob, store.blobs());
  } else {
    store.layers().mend(diff_id, blob, store.blobs());
    require_pair(store, blob, diff_id);
  }
  return true;
}

}  // namespace lay::layerstore
