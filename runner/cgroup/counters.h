#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cgroup/group.h"

/// What the kernel counts for a cgroup, by file.
namespace lay::runner {

/// The file's text from the first group that has it. A group that is just being removed has it no more.
std::optional<std::string> try_read(const std::vector<CgroupGroup>& groups, CgroupVersion version,
                                    const char* file);
/// v1's file before v2's: in a hybrid the controller is v1's.
std::optional<std::string> try_read(const std::vector<CgroupGroup>& groups, const char* v1_file,
                                    const char* v2_file);

/// A file of one number; empty when it says "max".
std::optional<std::uint64_t> number_of(const std::optional<std::string>& text);
/// The number in the line "KEY NUMBER".
std::optional<std::uint64_t> value_of(const std::optional<std::string>& text, const std::string& key);

}  // namespace lay::runner
