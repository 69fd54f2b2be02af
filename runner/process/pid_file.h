#pragma once

#include <sys/types.h>

#include <string>

namespace lay::runner {

/// Written beside, then renamed: an engine waits for the file to appear.
void write_pid_file(const std::string& path, pid_t pid);
/// Throws when there is no folder for it; an empty path asks for none.
void require_pid_folder(const std::string& path);

}  // namespace lay::runner
