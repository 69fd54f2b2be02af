#include "receive/followed_part.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/syscalls.h"
#include "receive/kept_bytes.h"

namespace lay::layerstore {

namespace {

/// Pieces of TLS are 16 KiB; file systems take larger ones at half the price.
constexpr std::size_t kHeld = 256 * 1024;
constexpr std::size_t kWorthAWrite = 64 * 1024;
/// The reader is not woken for less.
constexpr std::uint64_t kStep = 256 * 1024;

}  // namespace

class FollowedPart::Reader final : public ByteSource {
 public:
  explicit Reader(FollowedPart& part) : part_(part), file_(part.writer_.open_written()) {}

  std::size_t read(std::span<std::byte> out) override {
    const std::uint64_t end = wait_for_more();
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(end - at_, out.size()));
    if (wanted == 0) return 0;
    const std::size_t count = sys::pread_some(file_, out.first(wanted), at_);
    if (count == 0) throw Error(Errc::corrupt, "the part of the blob has shrunk");
    at_ += count;
    return count;
  }

 private:
  std::uint64_t wait_for_more() {
    std::unique_lock lock(part_.mutex_);
    part_.changed_.wait(lock, [&] { return part_.aborted_ || part_.ended_ || part_.published_ > at_; });
    if (part_.aborted_) std::rethrow_exception(part_.aborted_);
    return part_.published_;
  }

  FollowedPart& part_;
  const UniqueFd file_;
  std::uint64_t at_ = 0;
};

FollowedPart::FollowedPart(BlobWriter& writer, std::uint64_t size)
    : writer_(writer), size_(size), reader_(std::make_unique<Reader>(*this)) {}

FollowedPart::~FollowedPart() = default;

ByteSource& FollowedPart::reader() {
  return *reader_;
}

void FollowedPart::write_kept() {
  read_kept(writer_, *this);
  flush();
}

void FollowedPart::write(std::span<const std::byte> bytes) {
  if (bytes.size() > size_ - in_file_ - held_.size())
    throw Error::make(Errc::corrupt, "got more than the expected {} bytes", size_);
  if (bytes.size() >= kWorthAWrite) {
    flush();
    return write_through(bytes);
  }
  held_.insert(held_.end(), bytes.begin(), bytes.end());
  if (held_.size() >= kHeld - kWorthAWrite) flush();
}

void FollowedPart::flush() {
  if (held_.empty()) return;
  write_through(held_);
  held_.clear();
}

void FollowedPart::write_through(std::span<const std::byte> bytes) {
  throw_if_aborted();
  writer_.write(bytes);
  in_file_ += bytes.size();
  if (in_file_ - published_ >= kStep) publish();
}

void FollowedPart::publish() {
  {
    const std::scoped_lock lock(mutex_);
    published_ = in_file_;
  }
  changed_.notify_all();
}

void FollowedPart::finish() {
  flush();
  {
    const std::scoped_lock lock(mutex_);
    published_ = in_file_;
    ended_ = true;
  }
  changed_.notify_all();
}

void FollowedPart::abort(std::exception_ptr reason) {
  {
    const std::scoped_lock lock(mutex_);
    if (!aborted_) aborted_ = std::move(reason);
  }
  changed_.notify_all();
}

void FollowedPart::throw_if_aborted() {
  const std::scoped_lock lock(mutex_);
  if (aborted_) std::rethrow_exception(aborted_);
}

}  // namespace lay::layerstore
