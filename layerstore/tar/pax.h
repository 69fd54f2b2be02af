#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tar/tar_entry.h"

namespace lay::layerstore {

/// A sparse file in the pax format 1.0, whose map is in front of its data.
struct SparsePax {
  std::string name;
  std::uint64_t size = 0;  ///< of the file as it is read
};

/// What the extended headers before an entry say about it; what they leave out is in its ustar header.
struct PaxAttributes {
  std::optional<std::string> path;
  std::optional<std::string> link;
  std::optional<std::uint64_t> size;
  std::optional<std::int64_t> uid;
  std::optional<std::int64_t> gid;
  std::optional<timespec> mtime;
  std::vector<Xattr> xattrs;
  std::optional<SparsePax> sparse;
};

/// Parses the records of one pax extended header (POSIX.1-2017, pax, "pax Extended Header").
/// Throws invalid on anything that readers of tar do not agree about: broken records, keys given twice, NUL
/// in names; unsupported on sparse files of formats before 1.0. Unknown keys are passed over, as POSIX asks.
PaxAttributes parse_pax(std::string_view records);

/// The records of a plain root's tar as a layer has them. Access lists that are there as text
/// (SCHILY.acl.access and .default, of GNU tar, bsdtar and star) become the extended attributes that readers
/// of layers know; a list that is there in both forms keeps its attribute. Attributes of a nested overlay are
/// escaped (overlay_notation.h). Empty when there is nothing to change. Throws as parse_pax() and
/// parse_acl_text().
std::optional<std::string> as_layer_records(std::string_view records);

/// Whether there may be something in these bytes that as_layer_records() changes.
bool may_differ_in_layer(std::string_view bytes);

/// A global header may only carry what does not change entries; readers differ in whether they heed it.
/// Throws invalid when it sets one of the members above.
void check_global_pax(std::string_view records);

}  // namespace lay::layerstore
