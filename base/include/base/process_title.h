#pragma once

#include <string_view>

namespace lay {

/// Where this process's command line lies, which everybody on the machine may read (proc(5), cmdline):
/// `words` as main() has them. To be called once, by main().
void remember_command_line(int count, char** words) noexcept;
/// Overwrites these words and the environment, which is empty from here on: for a process that strangers may
/// look into.
void forget_caller() noexcept;

/// Shows `title` in place of that command line, cut to its length: for processes that outlive the command,
/// whose words may hold what others should not read for longer. Does nothing when main() remembered none.
void set_process_title(std::string_view title) noexcept;

}  // namespace lay
