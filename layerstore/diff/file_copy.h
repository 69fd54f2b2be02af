#pragma once

#include <sys/stat.h>

#include <string>

#include "base/unique_fd.h"

namespace lay::layerstore {

/// Copies the data of `from` into the empty file `to`; holes stay holes, and where the file system can it
/// shares the blocks (copy_file_range(2)).
void copy_data(const UniqueFd& from, const UniqueFd& to);

/// Gives `to`/`to_name` owner, mode, attributes and time of `from`/`from_name`, whose status
/// is `status`. The copy is in a lower or upper, the source is not: attributes of a nested overlay are
/// escaped. A folder's time lasts until something is made in it.
void copy_attributes(const UniqueFd& from, const std::string& from_name, const struct ::stat& status,
                     const UniqueFd& to, const std::string& to_name);

/// Makes a copy of `from`/`name`, any inode but a folder, as `to`/`to_name`, which must not be there.
void copy_inode(const UniqueFd& from, const std::string& name, const struct ::stat& status,
                const UniqueFd& to, const std::string& to_name);

}  // namespace lay::layerstore
