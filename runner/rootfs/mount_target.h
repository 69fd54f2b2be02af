#pragma once

#include <optional>
#include <string>

#include "base/unique_fd.h"

namespace lay::runner {

enum class TargetKind { folder, file };

/// The place inside `root` that `path` names, symlinks resolved as if `root` were "/", mounts crossed: an
/// O_PATH descriptor. Empty when it is not there.
std::optional<UniqueFd> find_target(const UniqueFd& root, const std::string& path);

/// As find_target; what is missing is made: folders 0755, at the end a folder or an empty file (0644), owned
/// by root. A dangling symlink is followed and what it names is made. Folders in which something is made keep
/// their times. Throws Error: not a folder where one is needed, more than 40 symlinks,
/// what the file system refuses.
UniqueFd make_target(const UniqueFd& root, const std::string& path, TargetKind kind);

/// Throws invalid when `name` in `root` is there but no folder: a symlink "/proc", "/sys" or "/dev" of an
/// image would move what is mounted there to where the image wants it.
void require_real_folder(const UniqueFd& root, const std::string& name);

}  // namespace lay::runner
