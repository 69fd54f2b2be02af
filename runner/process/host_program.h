#pragma once

#include <string>
#include <vector>

namespace lay::runner {

/// In a child: execve(2) of a program of the host, with standard streams as they are, no other descriptor,
/// and no signal blocked or ignored. Throws what keeps it from that.
[[noreturn]] void execute_host_program(const std::string& path, std::vector<std::string> args,
                                       std::vector<std::string> env);

}  // namespace lay::runner
