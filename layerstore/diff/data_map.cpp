#include "diff/data_map.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <span>

#include "base/cancel.h"
#include "base/syscalls.h"
#include "diff/inode.h"
#include "tar/sparse_map.h"

namespace lay::layerstore {

namespace {

constexpr std::uint64_t kWorthwhile = 64 * 1024 * 1024;
constexpr std::uint64_t kPiece = 64 * 1024;
constexpr std::size_t kSample = 4096;  // of a piece; nearly always enough to see that it is not empty
constexpr std::uint64_t kReadAhead = 8 * 1024 * 1024;
constexpr std::size_t kMaxRegions = 16384;  // their map stays below the 1 MiB that Go reads
constexpr std::uint64_t kMaxBlocks = std::uint64_t{1} << 20U;  // each takes 8 bytes in the mounted form

bool is_zero(std::span<const std::byte> bytes) {
  return bytes.empty() || (bytes.front() == std::byte{0} &&
                           std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

constexpr std::uint64_t round_down(std::uint64_t offset, std::uint64_t unit) {
  return offset / unit * unit;
}
constexpr std::uint64_t round_up(std::uint64_t offset, std::uint64_t unit) {
  return round_down(offset + unit - 1, unit);
}

/// Goes through a file from its start and collects the blocks that hold data.
class DataScan {
 public:
  DataScan(const UniqueFd& file, std::uint64_t size)
      : file_(file),
        size_(size),
        block_(std::max(kPiece, std::bit_ceil((size + kMaxBlocks - 1) / kMaxBlocks))),
        buffer_(kPiece) {}

  /// Empty as soon as it cannot be worth while any more.
  std::optional<std::vector<DataRegion>> run() {
    for (std::uint64_t at = 0; at < size_;) {
      const auto data = seek_data(file_, at);
      if (!data || *data >= size_) break;
      const std::uint64_t end = std::min(seek_hole(file_, *data), size_);
      for (at = std::max(at, round_down(*data, kPiece)); at < end; at += kPiece) {
        throw_if_cancelled();
        if (is_covered(at)) continue;
        read_ahead_until(at, end);
        if (!is_empty(at)) add(at);
        if (data_ + kWorthwhile > size_) return std::nullopt;
      }
    }
    return std::move(regions_);
  }

 private:
  bool is_covered(std::uint64_t at) const {
    return !regions_.empty() && at < regions_.back().offset + regions_.back().size;
  }

  /// Not into the hole that begins at `end`: the kernel would fill memory with its zeros.
  void read_ahead_until(std::uint64_t at, std::uint64_t end) {
    if (at < read_ahead_ || end - at <= kPiece) return;
    read_ahead_ = std::min(at + kReadAhead, end);
    read_ahead(file_, at, read_ahead_ - at);
  }

  bool is_empty(std::uint64_t at) {
    const std::size_t length = static_cast<std::size_t>(std::min(kPiece, size_ - at));
    const std::size_t sample = std::min(length, kSample);
    return is_zero(read(at, sample)) && is_zero(read(at + sample, length - sample));
  }

  std::span<const std::byte> read(std::uint64_t at, std::size_t length) {
    const std::span<std::byte> wanted = std::span(buffer_).first(length);
    return wanted.first(sys::pread_full(file_, wanted, at));  // if it shrank, that shows in the tar's reading
  }

  void add(std::uint64_t at) {
    add_block(round_down(at, block_), round_up(at + 1, block_));
    while (regions_.size() > kMaxRegions) {
      block_ *= 2;
      std::vector<DataRegion> finer;
      finer.swap(regions_);
      data_ = 0;
      for (const DataRegion& region : finer)
        add_block(round_down(region.offset, block_), round_up(region.offset + region.size, block_));
    }
  }

  /// Adds what is not in the last region yet.
  void add_block(std::uint64_t begin, std::uint64_t end) {
    end = std::min(end, size_);
    const bool joins = !regions_.empty() && begin <= regions_.back().offset + regions_.back().size;
    if (!joins) regions_.push_back({begin, 0});
    DataRegion& last = regions_.back();
    if (end <= last.offset + last.size) return;
    data_ += end - (last.offset + last.size);
    last.size = end - last.offset;
  }

  const UniqueFd& file_;
  const std::uint64_t size_;
  std::uint64_t block_;
  std::vector<std::byte> buffer_;
  std::vector<DataRegion> regions_;
  std::uint64_t data_ = 0;  ///< bytes in the regions
  std::uint64_t read_ahead_ = 0;
};

}  // namespace

std::optional<std::vector<DataRegion>> find_worthwhile_holes(const UniqueFd& file, std::uint64_t size) {
  if (size < kWorthwhile) return std::nullopt;
  auto regions = DataScan(file, size).run();
  rewind(file);
  return regions;
}

}  // namespace lay::layerstore
