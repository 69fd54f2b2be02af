#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/unique_fd.h"

/// What lets a name be removed where a disk is so full that no file has room any more: a second file as large
/// as the index. It is written and changes places with the index, so that there is one for the next time as
/// well. Callers hold the lock of the index, and name it: a file of `root`.
namespace lay::layerstore {

/// Sees to it that there is one for an index of `size` bytes. Where there cannot be, all goes on without.
void keep_spare_index(const UniqueFd& root, const std::string& index, std::size_t size) noexcept;

/// Puts `text` in the place of the index, whole and durably. False when there is no spare, somebody still
/// reads it as the index that it was or has it by another name, or it has too little room as well; nothing
/// has changed then.
bool try_publish_in_spare(const UniqueFd& root, const std::string& index, std::string_view text);

}  // namespace lay::layerstore
