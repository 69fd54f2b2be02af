#include "verified_source.h"

#include <string>

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

VerifiedSource::VerifiedSource(const layerstore::BlobStore& blobs, const layerstore::Descriptor& blob,
                               Progress::Task& task)
    : blob_(blob), task_(task), file_(blobs.open(blob.digest)), hasher_(blob.digest.algorithm()) {
  const auto stored = static_cast<std::uint64_t>(sys::stat_of(file_).st_size);
  if (stored != blob.size) throw damaged(blob, bytes_text(stored), bytes_text(blob.size));
}

std::size_t VerifiedSource::read(std::span<std::byte> out) {
  const std::size_t count = sys::read_some(file_, out);
  hasher_.update(out.first(count));
  size_ += count;
  task_.advance(count);
  const bool shrunk = count == 0 && size_ < blob_.size;
  if (shrunk || size_ > blob_.size) throw damaged(blob_, bytes_text(size_), bytes_text(blob_.size));
  if (count > 0 && size_ == blob_.size) verify();
  return count;
}

void VerifiedSource::verify() {
  const layerstore::Digest got = hasher_.finish();
  if (got != blob_.digest) throw damaged(blob_, got.to_string(), blob_.digest.to_string());
}

}  // namespace lay::registry
