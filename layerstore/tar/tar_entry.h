#pragma once

#include <sys/types.h>

#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

namespace lay::layerstore {

enum class EntryType { regular, directory, symlink, hardlink, character, block, fifo };

struct Xattr {
  std::string name;
  std::string value;  ///< any bytes
};

/// Bytes of a sparse file that are stored; what lies between two regions is zeros.
struct DataRegion {
  std::uint64_t offset = 0;  ///< in the file
  std::uint64_t size = 0;

  bool operator==(const DataRegion&) const = default;
};

/// One member of a tar, without its data.
struct TarEntry {
  std::string path;  ///< as the tar has it; any bytes but NUL
  EntryType type = EntryType::regular;
  mode_t mode = 0;  ///< permissions, suid, sgid and sticky: 07777
  uid_t uid = 0;
  gid_t gid = 0;
  timespec mtime{};
  std::uint64_t size = 0;  ///< of a regular file, bytes; 0 for all others
  std::string link;        ///< target of a symlink or hard link
  dev_t device = 0;        ///< of character and block nodes
  std::vector<Xattr> xattrs;
  /// Of a sparse file, ascending and apart: only their bytes follow, back to back. Otherwise all do.
  std::optional<std::vector<DataRegion>> regions;
};

}  // namespace lay::layerstore
