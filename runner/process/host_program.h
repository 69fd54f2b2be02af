#pragma once

#include <string>
#include <vector>

namespace lay::runner {

/// Of the calling process: "NAME=VALUE".
std::vector<std::string> own_environment();

/// In a child: execve(2) of a program of the host, with standard streams as they are, no other descriptor,
/// and no signal blocked or ignored. Throws what keeps it from that.
[[noreturn]] void execute_host_program(const std::string& path, std::vector<std::string> args,
                                       std::vector<std::string> env);

}  // namespace lay::runner
