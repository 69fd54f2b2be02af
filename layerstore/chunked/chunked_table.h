#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/stream.h"
#include "layerstore/descriptor.h"
#include "layerstore/digest.h"

/// Reads what chunked_toc.h writes, and podman's: where in a zstd:chunked blob each file's data are.
namespace lay::layerstore {

/// Where the documents at a blob's end are, as the annotations of its descriptor say. Offsets are those of
/// the compressed documents, behind the headers of the skippable frames they lie in.
struct ChunkedPlaces {
  Digest table_digest;  ///< of the compressed table
  std::uint64_t table = 0;
  std::uint64_t table_size = 0;
  std::uint64_t split = 0;
  std::uint64_t split_size = 0;  ///< 0: there is none, as older writers leave it out
  bool has_split() const { return split_size > 0; }
  /// Where the frames of the tar end and the first skippable one begins.
  std::uint64_t tail() const;
};

/// Empty for a blob that is not zstd:chunked, or whose annotations contradict themselves.
std::optional<ChunkedPlaces> find_chunked_places(const Descriptor& blob);
/// The same from the blob itself: its footer; `table_digest` is of what stands there.
std::optional<ChunkedPlaces> read_chunked_footer(const UniqueFd& blob, std::uint64_t size);

/// One entry of a table of contents: something of the tar, or one more chunk of the file before it. Texts are
/// valid until the call that hears of it returns.
struct TableEntry {
  std::string type;  ///< "reg", "dir", …, "chunk"
  std::string name;
  std::uint64_t size = 0;  ///< of a file's data
  std::string digest;      ///< of a file's data; "" where there is none
  std::optional<std::uint64_t> offset;
  std::optional<std::uint64_t> end_offset;  ///< of a file: where its last chunk ends
  std::uint64_t chunk_offset = 0;           ///< in the data
  std::uint64_t chunk_size = 0;             ///< of the data; 0: to the file's end
  std::string chunk_digest;
  std::string chunk_type;  ///< "zeros", or ""

  bool is_zeros() const { return chunk_type == "zeros"; }
};

/// Hears of every entry of a compressed table of contents, in its order. Throws invalid on anything that is
/// no table; values of an entry are as they stand there.
void read_table_entries(ByteSource& packed, const std::function<void(const TableEntry&)>& take);

/// The first 64 bits of a digest, for tables in memory. A collision would only show as a blob, or layer, that
/// is not what it should be.
using DigestKey = std::uint64_t;
DigestKey key_of(const Digest& digest);

/// Data of one file, or a chunk of it, as they lie in the blob: one or several whole zstd frames.
struct PackedData {
  DigestKey key = 0;  ///< of the data
  std::uint64_t offset = 0;
  std::uint64_t size = 0;  ///< in the blob
};

/// Hears of all data in a compressed table of contents, in the order of the blob. Throws invalid on anything
/// that is no table or whose data overlap, or lie beyond `end`: what was heard of until then is of no use.
void read_chunked_table(ByteSource& packed, std::uint64_t end,
                        const std::function<void(const PackedData&)>& take);

/// Hears of all bytes between two files' data: of what stands in front of the first, behind each, …
using TakeFraming = std::function<void(std::string_view framing)>;
/// Of a compressed tar-split. Throws invalid.
void read_tar_split(ByteSource& packed, const TakeFraming& take);

}  // namespace lay::layerstore
