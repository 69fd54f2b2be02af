#pragma once

#include <sys/stat.h>

#include <string>

#include "base/unique_fd.h"

namespace lay::layerstore {

/// A name in an open folder, and what it stands for.
struct NamedInode {
  const UniqueFd& folder;
  const std::string& name;
  const struct ::stat& status;
};

/// Of two inodes of one type: mode, owner, time in whole seconds, attributes but overlay's own, and size,
/// device number or target; all but the content of files.
bool are_same_inodes(const NamedInode& left, const NamedInode& right);

/// Of two files of one name.
bool have_same_content(const UniqueFd& left, const UniqueFd& right, const std::string& name);

enum class Compared { all, all_but_content };

/// Of two inodes of one type that are open, files for reading: both of the above, without targets. They may
/// be of uppers and lowers, whose overlay's own attributes do not count.
bool are_same_files(const UniqueFd& left, const UniqueFd& right, Compared compared = Compared::all);

}  // namespace lay::layerstore
