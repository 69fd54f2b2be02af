#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>

#include "base/unique_fd.h"

namespace lay::cli {

/// A name in a folder that can be given to another file: what has it now has no other name.
struct FilePlace {
  UniqueFd folder;
  std::string name;
  std::optional<struct ::stat> there;  ///< a regular file, when the name is taken
};

/// Where a file that is written to `path` can take the place of the old one, at the end of the symlinks.
/// Nothing where it cannot: for what is no regular file, has other names or is mounted, for the links of
/// /proc, which lead to open files, and for a path that the kernel does not follow either
/// (fs.protected_symlinks). In a folder where everybody may make names, such as /tmp, what has the name may
/// be laid as a trap: a link, a file with another name, or another user's are not followed, nor written into,
/// nor are their rights taken. Throws what the folder of `path` itself is opened with.
std::optional<FilePlace> find_file_place(const std::string& path);

}  // namespace lay::cli
