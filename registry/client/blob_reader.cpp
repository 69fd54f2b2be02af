#include "client/blob_reader.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/cancel.h"
#include "base/error.h"
#include "base/syscalls.h"

namespace lay::registry {

namespace {

Error damaged(const layerstore::Descriptor& blob, const std::string& got, const std::string& expected) {
  return Error::make(Errc::corrupt, "blob {} in the store is damaged: got {}, expected {}",
                     blob.digest.to_string(), got, expected)
      .with_hint("pull the image again, which mends it, or see 'lay fsck'");
}

std::string bytes_text(std::uint64_t count) {
  return fmt::format("{} bytes", count);
}

}  // namespace

class BlobReader::Piece final : public ByteSource {
 public:
  Piece(BlobReader& reader, std::uint64_t size) : reader_(reader), left_(size) {}
  std::size_t read(std::span<std::byte> out) override {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(left_, out.size()));
    if (wanted == 0) return 0;
    const std::size_t count = reader_.read(out.first(wanted));
    left_ -= count;
    return count;
  }

 private:
  BlobReader& reader_;
  std::uint64_t left_;
};

BlobReader::BlobReader(const layerstore::BlobStore& blobs, const layerstore::Descriptor& blob,
                       Progress::Task& task)
    : blob_(blob), task_(task), file_(blobs.open(blob.digest)), hasher_(blob.digest.algorithm()) {
  const auto stored = static_cast<std::uint64_t>(sys::stat_of(file_).st_size);
  if (stored != blob.size) throw damaged(blob, bytes_text(stored), bytes_text(blob.size));
}

std::unique_ptr<ByteSource> BlobReader::open(std::uint64_t offset, std::uint64_t size) {
  if (offset != position_) seek(offset);
  return std::make_unique<Piece>(*this, size);
}

/// Hashes what lies before `offset`: the state of a hash is made again from the bytes.
void BlobReader::seek(std::uint64_t offset) {
  hasher_ = layerstore::Hasher(blob_.digest.algorithm());
  position_ = 0;
  std::vector<std::byte> buffer(256 * 1024);
  while (position_ < offset) {
    throw_if_cancelled();
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(offset - position_, buffer.size()));
    read(std::span(buffer).first(wanted));
  }
}

std::size_t BlobReader::read(std::span<std::byte> out) {
  const std::size_t count = sys::pread_some(file_, out, position_);
  if (count == 0) throw damaged(blob_, bytes_text(position_), bytes_text(blob_.size));
  hasher_.update(out.first(count));
  position_ += count;
  if (position_ > told_) {
    task_.advance(position_ - told_);
    told_ = position_;
  }
  if (position_ == blob_.size) verify();
  return count;
}

void BlobReader::verify() {
  const layerstore::Digest got = hasher_.finish();
  if (got != blob_.digest) throw damaged(blob_, got.to_string(), blob_.digest.to_string());
}

}  // namespace lay::registry
