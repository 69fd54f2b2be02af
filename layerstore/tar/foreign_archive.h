#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/stream.h"

namespace lay::layerstore {

/// True for archives that are no layer as they stand but can be made one: xz and
/// bzip2 around a tar, and cpio. `start`: its first 6 bytes, or more of them.
bool is_foreign_archive(std::span<const std::byte> start);

/// Reads such an archive with libarchive and writes its entries, in their order, as a layer tar, which is
/// read by the strict reader afterwards like any other. Sparse files are written in full.
///   out      not finished here
///   returns  bytes written
///   throws   corrupt (broken or truncated), invalid (an entry that no layer can hold)
std::uint64_t rewrite_foreign_archive(ByteSource& in, ByteSink& out);

}  // namespace lay::layerstore
