#pragma once

#include "base/unique_fd.h"

/// lay's own program, as processes inside a container can reach it: by /proc/<pid>/exe of a child of lay, or
/// by a command that is `#!/proc/self/exe`. Whoever holds it could write to it once no lay runs any more
/// (CVE-2019-5736), so a child that is going to be seen from inside has it by a mount that is read-only.
namespace lay::runner {

/// In the parent: the file of this program, open for reading, by a read-only mount of its own that is
/// attached nowhere, open_tree(2); where its mount is not of this mount namespace, a sealed copy in memory.
UniqueFd open_own_program();

/// The files that are mapped beside the program's own.
enum class Libraries {
  mapped,
  in_memory,  ///< copied, which takes about a millisecond: for a process that may be looked into
};

/// In the child, which has one thread: /proc/self/exe and all that is mapped of the program are from here on
/// `program`, prctl(2) PR_SET_MM_MAP; arguments and environment of the caller are shown no more. Throws
/// unsupported where the kernel has it not (CONFIG_CHECKPOINT_RESTORE).
void stand_on(UniqueFd program, Libraries libraries = Libraries::mapped);

}  // namespace lay::runner
