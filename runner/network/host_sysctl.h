#pragma once

#include <optional>
#include <string>

namespace lay::runner {

/// Kernel settings under /proc/sys/net/, such as "ipv4/ip_forward": those of the
/// calling thread's network namespace.

/// Without the newline; empty when there is no such setting (a module that is not loaded).
std::optional<std::string> read_setting(const std::string& name);
void write_setting(const std::string& name, const std::string& value);
/// False when there is no such setting (a kernel without IPv6).
bool try_write_setting(const std::string& name, const std::string& value);

}  // namespace lay::runner
