#include "layers/sparse_file.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/syscalls.h"

namespace lay::layerstore {

namespace {

/// Shorter runs of zeros are not worth a system call. A multiple of every file system's block.
constexpr std::size_t kHole = 64 * 1024;

bool is_zero(std::span<const std::byte> bytes) {
  return bytes.front() == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

}  // namespace

void SparseFileSink::write(std::span<const std::byte> bytes) {
  std::size_t data = 0;  // bytes in front that are to be written
  while (data < bytes.size()) {
    // Holes begin and end at multiples of kHole of the file, or where what is written at once does.
    const std::size_t to_boundary = kHole - static_cast<std::size_t>((offset_ + data) % kHole);
    const std::size_t piece = std::min(to_boundary, bytes.size() - data);
    const bool may_be_part = data == 0 || data + piece == bytes.size();
    if ((piece == kHole || may_be_part) && is_zero(bytes.subspan(data, piece))) {
      write_data(bytes.first(data));
      offset_ += piece;
      bytes = bytes.subspan(data + piece);
      data = 0;
    } else {
      data += piece;
    }
  }
  write_data(bytes);
}

void SparseFileSink::write_data(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::size_t count = sys::pwrite_some(file_, bytes, offset_);
    offset_ += count;
    bytes = bytes.subspan(count);
  }
  if (writeback_) writeback_->grown_to(offset_);
}

void SparseFileSink::finish() {
  sys::ftruncate(file_, offset_);
}

}  // namespace lay::layerstore
