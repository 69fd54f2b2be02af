#pragma once

#include <string>
#include <vector>

namespace lay::runner {

/// The value of `name` in a list of "NAME=value", the last one of several; empty without one.
std::string environment_value(const std::vector<std::string>& env, const std::string& name);
/// Adds "NAME=value" unless the list has NAME.
void add_default(std::vector<std::string>& env, const std::string& name, const std::string& value);

/// The paths to try for a command as written: itself when it has a slash, else one in each folder of PATH.
std::vector<std::string> candidates(const std::string& command, const std::vector<std::string>& env);

/// execve(2) of the first candidate that is there, in the calling process's root.
/// Throws no_command (exit code 127) when there is none, not_invocable (126) when it cannot be executed.
[[noreturn]] void execute_command(const std::vector<std::string>& args, const std::vector<std::string>& env);

}  // namespace lay::runner
