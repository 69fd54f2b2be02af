#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/stream.h"
#include "tar/pax.h"
#include "tar/tar_block.h"
#include "tar/tar_entry.h"

namespace lay::layerstore {

/// Reads a tar that anybody may have made: ustar, pax, GNU long names and numbers, version 7.
/// Own code, because layers have to be judged by what general readers hide: unknown types, NUL in names, keys
/// given twice, sizes that disagree, changed names (libarchive converts them by locale). Memory is bounded by
/// its buffer and kMaxTarExtension.
///   policy   the first zero block ends the tar; a second one has to follow if anything does. What comes
///            then is read, so that the caller's hash covers it, and not looked at. A tar without end is
///            truncated.
///   sparse   files of the pax format 1.0 and of GNU's older one
///   throws   invalid, naming what is wrong; unsupported for sparse files of pax formats before 1.0
class TarReader {
 public:
  /// `framing`, when there is one, gets every byte that is no entry's data, as it is passed: headers,
  /// padding, the end.
  explicit TarReader(ByteSource& in, ByteSink* framing = nullptr);

  /// The next entry, past what is left of the last one's data; empty when the whole stream has been read.
  std::optional<TarEntry> next();
  /// A piece of the current entry's data, valid until the next call; empty at its end. Of a sparse file, the
  /// bytes of its regions. Copied only where the source does not lend its bytes.
  std::span<const std::byte> read_data();
  /// Bytes of the tar read so far.
  std::uint64_t bytes() const { return bytes_; }
  /// Where in the tar the next byte comes from: after next(), where the entry's data begin.
  std::uint64_t position() const { return bytes_ - view_.size(); }

 private:
  struct Extensions {
    std::optional<PaxAttributes> pax;
    std::optional<std::string> gnu_path;
    std::optional<std::string> gnu_link;
    bool any() const { return pax || gnu_path || gnu_link; }
  };

  void ensure(std::size_t count);
  void join(std::size_t count);
  void pass_framing(std::size_t count);
  std::optional<TarBlock> read_block();
  std::span<const std::byte> next_piece();
  std::string read_payload(const TarBlock& block);
  bool read_extension(const TarBlock& block, Extensions& extensions);
  void read_sparse_map(TarEntry& entry, std::uint64_t size);
  void read_old_sparse_map(TarEntry& entry, const TarBlock& header);
  void set_regions(TarEntry& entry, std::vector<DataRegion> regions, std::uint64_t size) const;
  void skip_data();
  void skip_padding();
  void read_end();

  ByteSource& in_;
  ByteSink* const framing_;
  std::vector<std::byte> buffer_;
  std::span<const std::byte> view_;  ///< what is read but not consumed: the source's own, or in the buffer
  std::uint64_t bytes_ = 0;
  std::uint64_t data_left_ = 0;
  std::size_t padding_left_ = 0;
};

}  // namespace lay::layerstore
