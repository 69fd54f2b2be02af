#include "layers/layer_stream.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>

#include "base/cancel.h"
#include "base/error.h"
#include "base/pipeline.h"
#include "codec/limited_source.h"
#include "layerstore/codec.h"
#include "layerstore/media_types.h"

namespace lay::layerstore {

namespace {

/// Enough for every magic number, the tar's own at byte 257 included.
constexpr std::size_t kMagicBytes = 512;
constexpr std::size_t kBlocks = 4;  // of 512 KiB, between the two threads: several layers may be on their way

/// The compression that the media type announces; throws invalid when the first bytes say otherwise.
Compression agreed_compression(std::span<const std::byte> start, const std::string& media_type) {
  const Compression announced = media_type::compression_of(media_type);
  const Compression found = detect_compression(start);
  if (announced != found)
    throw Error::make(Errc::invalid, "the media type says {}, the bytes are {}", to_string(announced),
                      to_string(found));
  return announced;
}

/// Decompresses in a thread of its own, `take` works on what comes out.
void decompress(ByteSource& stored, const Descriptor& blob, const UnpackLimits& limits,
                const std::function<void(ByteSource& tar)>& take) {
  const auto produce = [&](ByteSink& tar) {
    PeekSource peeked(stored, kMagicBytes);
    const Compression compression = agreed_compression(peeked.start(), blob.media_type);
    const auto plain = make_decompressor(compression, peeked);
    LimitedSource limited(*plain, limits, [&] { return blob.size; });
    pump(limited, tar);
    drain(peeked);
  };
  run_pipeline(produce, take, kBlocks);
}

/// Broken compression, a broken tar or a wrong diff_id may only be what a damaged blob looks like.
void blame_damage(ByteSource& stored, const std::function<void()>& verify_blob,
                  const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    if (error.code() == Errc::corrupt || error.code() == Errc::invalid) {
      drain(stored);
      verify_blob();
    }
    throw;
  }
  verify_blob();
}

}  // namespace

std::size_t ExactSource::read(std::span<std::byte> out) {
  if (out.empty()) return 0;
  if (passed_ == expected_) {
    std::array<std::byte, 1> probe;
    if (inner_.read(probe) == 0) return 0;
    ++passed_;
  }
  if (passed_ > expected_) throw Error::make(Errc::corrupt, "got more than the expected {} bytes", expected_);
  const std::uint64_t wanted = std::min<std::uint64_t>(expected_ - passed_, out.size());
  const std::size_t count = inner_.read(out.first(static_cast<std::size_t>(wanted)));
  if (count == 0) throw Error::make(Errc::corrupt, "got {} bytes, expected {}", passed_, expected_);
  passed_ += count;
  return count;
}

PeekSource::PeekSource(ByteSource& inner, std::size_t count) : inner_(inner), start_(count) {
  std::size_t have = 0;
  while (have < count) {
    const std::size_t more = inner_.read(std::span(start_).subspan(have));
    if (more == 0) break;
    have += more;
  }
  start_.resize(have);
}

std::size_t PeekSource::read(std::span<std::byte> out) {
  if (given_ == start_.size()) return inner_.read(out);
  const std::size_t count = std::min(out.size(), start_.size() - given_);
  std::memcpy(out.data(), start_.data() + given_, count);
  given_ += count;
  return count;
}

std::size_t TeeSource::read(std::span<std::byte> out) {
  const std::size_t count = inner_.read(out);
  if (count > 0) sink_.write(out.first(count));
  return count;
}

std::span<const std::byte> TeeSource::borrow(std::span<std::byte> scratch) {
  const auto bytes = inner_.borrow(scratch);
  if (!bytes.empty()) sink_.write(bytes);
  return bytes;
}

void drain(ByteSource& source) {
  std::array<std::byte, 65536> buffer;
  while (!source.borrow(buffer).empty()) throw_if_cancelled();
}

std::uint64_t with_stored_tar(const BlobStore& blobs, const Descriptor& blob, const Digest& diff_id,
                              const std::function<void(ByteSource& tar)>& take) {
  const UniqueFd file = blobs.open(blob.digest);
  FdSource stored(file);
  const auto plain = make_decompressor(media_type::compression_of(blob.media_type), stored);
  HashingSource hashed(*plain, diff_id.algorithm());
  take(hashed);
  drain(hashed);
  if (const Digest got = hashed.digest(); got != diff_id)
    throw Error::make(Errc::corrupt, "its blob has diff_id {}, expected {}", got.to_string(),
                      diff_id.to_string());
  return hashed.size();
}

void verify_diff_id(ByteSource& stored, const Descriptor& blob, const Digest& diff_id,
                    const UnpackLimits& limits) {
  PeekSource peeked(stored, kMagicBytes);
  const auto plain = make_decompressor(agreed_compression(peeked.start(), blob.media_type), peeked);
  LimitedSource limited(*plain, limits, [&] { return blob.size; });
  HashingSource hashed(limited, diff_id.algorithm());
  drain(hashed);
  drain(peeked);
  if (const Digest got = hashed.digest(); got != diff_id)
    throw Error::make(Errc::corrupt, "layer: got diff_id {}, expected {}", got.to_string(),
                      diff_id.to_string());
}

void unpack_verified(ByteSource& stored, const Descriptor& blob, const Digest& diff_id,
                     const UnpackLimits& limits, LayerWriter& layer,
                     const std::function<void()>& verify_blob) {
  blame_damage(stored, verify_blob, [&] {
    decompress(stored, blob, limits, [&](ByteSource& tar) { layer.apply(tar); });
    layer.verify(diff_id);
  });
}

void hash_verified(ByteSource& stored, const Descriptor& blob, const Digest& diff_id,
                   const UnpackLimits& limits, const std::function<void()>& verify_blob) {
  blame_damage(stored, verify_blob, [&] {
    std::optional<Digest> got;
    decompress(stored, blob, limits, [&](ByteSource& tar) {
      HashingSource hashed(tar, diff_id.algorithm());
      drain(hashed);
      got = hashed.digest();
    });
    if (got != diff_id)
      throw Error::make(Errc::corrupt, "layer: got diff_id {}, expected {}", got->to_string(),
                        diff_id.to_string());
  });
}

}  // namespace lay::layerstore
