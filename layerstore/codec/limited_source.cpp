#include "codec/limited_source.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "base/text.h"

namespace lay::layerstore {

namespace {

constexpr std::uint64_t kHarmless = 1ULL << 30U;  // bytes
constexpr std::uint64_t kMostRatio = 200;
constexpr std::uint64_t kMostReserve = 256ULL << 20U;  // bytes
constexpr std::uint64_t kReserveShare = 50;            // of a disk, its 50th part
constexpr std::uint64_t kBetweenChecks = 64ULL << 20U;

constexpr const char* kHint =
    "if you trust it, allow more with 'lay --max-unpacked SIZE …' or LAY_MAX_UNPACKED";

}  // namespace

std::size_t LimitedSource::read(std::span<std::byte> out) {
  const std::size_t bytes = inner_.read(out);
  count(bytes);
  return bytes;
}

std::span<const std::byte> LimitedSource::borrow(std::span<std::byte> scratch) {
  const auto bytes = inner_.borrow(scratch);
  count(bytes.size());
  return bytes;
}

void LimitedSource::count(std::size_t bytes) {
  passed_ += bytes;
  if (limits_.most_bytes) {
    if (passed_ > *limits_.most_bytes)
      throw Error::make(Errc::unsupported, "it unpacks to more than {}, the most that is allowed",
                        format_size(*limits_.most_bytes))
          .with_hint(kHint);
  } else if (passed_ > kHarmless && passed_ / kMostRatio > packed_size_()) {
    throw Error::make(Errc::unsupported,
                      "it unpacks to more than {} times its size, as a decompression bomb does", kMostRatio)
        .with_hint(kHint);
  }
}

std::size_t ReservingSource::read(std::span<std::byte> out) {
  const std::size_t bytes = inner_.read(out);
  count(bytes);
  return bytes;
}

std::span<const std::byte> ReservingSource::borrow(std::span<std::byte> scratch) {
  const auto bytes = inner_.borrow(scratch);
  count(bytes.size());
  return bytes;
}

void ReservingSource::count(std::size_t bytes) {
  unchecked_ += bytes;
  if (unchecked_ < kBetweenChecks) return;
  unchecked_ = 0;
  struct ::statvfs disk {};
  if (::fstatvfs(folder_.get(), &disk) < 0) throw Error::from_errno("ask for free space");
  const std::uint64_t reserve = std::min(kMostReserve, disk.f_blocks * disk.f_frsize / kReserveShare);
  if (disk.f_bavail * disk.f_frsize < reserve)
    throw Error::from_number(
        ENOSPC, fmt::format("write a layer: less than {} would stay free", format_size(reserve)));
}

std::size_t CountingSource::read(std::span<std::byte> out) {
  const std::size_t bytes = inner_.read(out);
  count_ += bytes;
  return bytes;
}

}  // namespace lay::layerstore
