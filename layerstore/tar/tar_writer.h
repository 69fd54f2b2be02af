#pragma once

#include <string>
#include <string_view>

#include "tar/tar_entry.h"

namespace lay::layerstore {

/// The header of one entry: ustar (POSIX.1-2017), preceded by a pax extended header where ustar does not
/// reach. The bytes depend on `entry` alone. Not libarchive's writer: its names depend on the locale, or
/// every entry grows by a 1 KiB "hdrcharset" header that GNU tar complains about.
///   throws   unsupported when an xattr's name holds "=" or the extended header would exceed 1 MiB
/// A sparse file's header ends with its map: pax sparse format 1.0 (sparse_map.h).
/// Names that are not ASCII are written as pax "path" of raw bytes, marked
/// "hdrcharset=BINARY" when not UTF-8.
std::string write_tar_header(const TarEntry& entry);

/// "LENGTH KEY=VALUE\n", where LENGTH counts itself too.
std::string write_pax_record(std::string_view key, std::string_view value);
/// The pax extended header with these records, for the entry whose header comes next.
std::string write_pax_header(std::string records);

/// The two zero blocks that end a tar.
std::string_view tar_end();

}  // namespace lay::layerstore
