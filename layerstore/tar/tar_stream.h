#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "base/stream.h"
#include "base/unique_fd.h"
#include "tar/tar_entry.h"

namespace lay::layerstore {

/// Collects the small pieces of a tar into large blocks; file data is read right into them, and they into the
/// memory of what they are written to, if it has any.
class TarStream {
 public:
  explicit TarStream(ByteSink& out);

  void append(std::string_view bytes);
  /// Appends exactly `size` bytes of a file and pads them to a block. Throws io when the file is shorter or
  /// longer: it changed since its size was taken.
  void append_file(const UniqueFd& file, std::uint64_t size);
  /// Appends the bytes of some regions of a file, and pads them to a block. Throws io when the file ends
  /// before they do.
  void append_regions(const UniqueFd& file, std::span<const DataRegion> regions);
  /// As above, of a file that is being written to: behind its end are zeros.
  void append_live(const UniqueFd& file, std::span<const DataRegion> regions);
  void flush();
  /// Bytes appended so far.
  std::uint64_t size() const { return flushed_ + used_; }

 private:
  /// Reads some bytes at an offset into the space; returns how many, never 0.
  using ReadPiece = std::function<std::size_t(std::span<std::byte> space, std::uint64_t offset)>;

  void append_pieces(std::span<const DataRegion> regions, const ReadPiece& read);
  std::span<std::byte> room() const { return room_.subspan(used_); }

  ByteSink& out_;
  std::vector<std::byte> buffer_;
  std::span<std::byte> room_;  ///< of `out`, or the buffer
  std::size_t used_ = 0;       ///< of the room
  std::uint64_t flushed_ = 0;
};

}  // namespace lay::layerstore
