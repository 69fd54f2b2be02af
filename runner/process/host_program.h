#pragma once

#include <string>
#include <vector>

namespace lay::runner {

/// In a child: execve(2) of a program of the host, with standard streams as they are, no other descriptor,
/// and no signal blocked or ignored. When it cannot be executed the process ends with code 127, as a shell
/// has it.
[[noreturn]] void execute_host_program(const std::string& path, std::vector<std::string> args,
                                       std::vector<std::string> env) noexcept;

}  // namespace lay::runner
