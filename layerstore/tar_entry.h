#pragma once

#include <sys/types.h>

#include <cstdint>
#include <ctime>
#include <string>
#include <vector>

namespace lay::layerstore {

enum class EntryType { regular, directory, symlink, hardlink, character, block, fifo };

struct Xattr {
  std::string name;
  std::string value;  ///< any bytes
};

/// One member of a tar, without its data.
struct TarEntry {
  std::string path;  ///< as the tar has it; any bytes but NUL
  EntryType type = EntryType::regular;
  mode_t mode = 0;  ///< permissions, suid, sgid and sticky: 07777
  uid_t uid = 0;
  gid_t gid = 0;
  timespec mtime{};
  std::uint64_t size = 0;  ///< bytes of data that follow; 0 for all but regular files
  std::string link;        ///< target of a symlink or hard link
  dev_t device = 0;        ///< of character and block nodes
  std::vector<Xattr> xattrs;
};

}  // namespace lay::layerstore
