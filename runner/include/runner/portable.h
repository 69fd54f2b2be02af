#pragma once

#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "runner/spec.h"

/// A container for any OCI runtime: what lay itself would only decide at a start stands in the spec.
namespace lay::runner {

/// The built-in seccomp profile for a container with these capabilities ("CAP_CHOWN"), as linux.seccomp has
/// it: answers are the same as those of the program that lay loads, also for arguments whose upper half the
/// kernel does not look at. It is for the native architecture alone: programs of the 32-bit one are killed.
/// What the reader's libseccomp has no name for is an unknown call.
Seccomp builtin_seccomp(const std::vector<std::string>& capabilities);

/// `spec` without anything that lay alone understands: users are numbers, found in the passwd and group files
/// beneath `root`, HOME is set, the built-in seccomp profile is spelled out. Throws unsupported for what no
/// other runtime can do (--init, --landlock, ids that are chosen at start); not_found for a user.
Spec make_portable(Spec spec, const UniqueFd& root);

/// config.json without lay's own annotations.
Json portable_json(const Spec& spec);

/// Makes the mount points that `root` lacks, so that no runtime has to; folders in which one is made keep
/// their times. Beneath other mounts of the spec there is nothing to make. Returns the paths of all mount
/// points in `root` and of the folders that lead there, symlinks resolved: "dev", "var/lib". Throws invalid
/// when /proc, /sys or /dev is no folder.
std::vector<std::string> make_mount_points(const UniqueFd& root, const Spec& spec);

}  // namespace lay::runner
