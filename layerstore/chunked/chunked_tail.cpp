#include "chunked/chunked_tail.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace lay::layerstore {

namespace {

constexpr std::size_t kPiece = std::size_t{64} * 1024;

Digest digest_of_source(ByteSource& source, DigestAlgorithm algorithm) {
  HashingSource hashed(source, algorithm);
  std::array<std::byte, kPiece> buffer;
  while (hashed.read(buffer) > 0) {
  }
  return hashed.digest();
}

}  // namespace

/// Takes the bytes as they come; more than there should be go nowhere.
class ChunkedTail::Filling final : public ByteSink {
 public:
  explicit Filling(ChunkedTail& tail) : tail_(tail) {}
  void write(std::span<const std::byte> bytes) override {
    for (; !bytes.empty(); tail_.memory_.count_use()) {
      const auto piece = bytes.first(std::min({bytes.size(), kPiece, tail_.bytes_.size() - filled_}));
      if (piece.empty()) throw Error(Errc::corrupt, "the blob's end is longer");
      std::copy(piece.begin(), piece.end(), tail_.bytes_.begin() + static_cast<std::ptrdiff_t>(filled_));
      filled_ += piece.size();
      bytes = bytes.subspan(piece.size());
    }
  }
  std::size_t filled() const { return filled_; }

 private:
  ChunkedTail& tail_;
  std::size_t filled_ = 0;
};

ChunkedTail::ChunkedTail(const Descriptor& blob, const ChunkedPlaces& places, PartSource& source,
                         const Spill& spill)
    : places_(places), memory_(spill) {
  const auto size = static_cast<std::size_t>(blob.size - places.tail());
  bytes_ = {static_cast<std::byte*>(memory_.allocate(size, 1)), size};
  Filling filling(*this);
  source.fetch({.offset = places.tail(), .size = size}, filling);
  if (filling.filled() != size) throw Error(Errc::corrupt, "the blob's end is shorter");
  Source packed = table();
  if (digest_of_source(packed, places.table_digest.algorithm()) != places.table_digest)
    throw Error(Errc::corrupt, "the table of contents is not the one that the manifest names");
}

void ChunkedTail::write(std::uint64_t skip, ByteSink& out) const {
  Source rest(*this, skip, size() - skip);
  std::array<std::byte, kPiece> buffer;
  for (std::size_t count = rest.read(buffer); count > 0; count = rest.read(buffer))
    out.write(std::span(buffer).first(count));
}

std::size_t ChunkedTail::Source::read(std::span<std::byte> out) {
  tail_.memory_.count_use();
  const std::size_t count = std::min({out.size(), kPiece, static_cast<std::size_t>(end_ - at_)});
  const auto from = tail_.bytes_.subspan(static_cast<std::size_t>(at_), count);
  std::copy(from.begin(), from.end(), out.begin());
  at_ += count;
  return count;
}

}  // namespace lay::layerstore
