#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/stream.h"
#include "layerstore/descriptor.h"
#include "layerstore/layer_store.h"

/// The way of a stored layer into the tree form, shared by those who read it from
/// the store and from elsewhere.
namespace lay::layerstore {

/// Lets exactly `size` bytes through: throws corrupt at an earlier end, and as soon as one more byte comes.
class ExactSource final : public ByteSource {
 public:
  ExactSource(ByteSource& inner, std::uint64_t size) : inner_(inner), expected_(size) {}
  std::size_t read(std::span<std::byte> out) override;

 private:
  ByteSource& inner_;
  std::uint64_t expected_;
  std::uint64_t passed_ = 0;
};

/// A source whose first bytes can be looked at before they are read.
class PeekSource final : public ByteSource {
 public:
  /// Reads up to `count` bytes at once.
  PeekSource(ByteSource& inner, std::size_t count);
  std::span<const std::byte> start() const { return start_; }
  std::size_t read(std::span<std::byte> out) override;

 private:
  ByteSource& inner_;
  std::vector<std::byte> start_;
  std::size_t given_ = 0;
};

/// Writes to `sink` what is read through it.
class TeeSource final : public ByteSource {
 public:
  TeeSource(ByteSource& inner, ByteSink& sink) : inner_(inner), sink_(sink) {}
  std::size_t read(std::span<std::byte> out) override;
  std::span<const std::byte> borrow(std::span<std::byte> scratch) override;

 private:
  ByteSource& inner_;
  ByteSink& sink_;
};

/// Reads to the end, for the sake of what hashes or writes on the way.
void drain(ByteSource& source);

/// Inflates a stored layer and throws corrupt when its diff_id is another one; invalid when its bytes are not
/// compressed as `blob` says.
void verify_diff_id(ByteSource& stored, const Descriptor& blob, const Digest& diff_id,
                    const UnpackLimits& limits);

/// Has `take` read the tar of a blob in the store; throws corrupt when it is not that of `diff_id`. Returns
/// its size.
std::uint64_t with_stored_tar(const BlobStore& blobs, const Descriptor& blob, const Digest& diff_id,
                              const std::function<void(ByteSource& tar)>& take);

/// Unpacks a stored layer into `layer` and checks its diff_id; nothing is published.
///   stored        exactly the blob's bytes, read to their end
///   verify_blob   throws corrupt when the bytes that went through `stored` are not the blob's
/// A failure that damaged bytes explain is reported as that damage; what exceeds the limits is unsupported.
void unpack_verified(ByteSource& stored, const Descriptor& blob, const Digest& diff_id,
                     const UnpackLimits& limits, LayerWriter& layer,
                     const std::function<void()>& verify_blob);
/// As unpack_verified, for a layer that is unpacked already: a blob may only stand for a diff_id that is its
/// own.
void hash_verified(ByteSource& stored, const Descriptor& blob, const Digest& diff_id,
                   const UnpackLimits& limits, const std::function<void()>& verify_blob);

}  // namespace lay::layerstore
