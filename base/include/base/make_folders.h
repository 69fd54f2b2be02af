#pragma once

#include <sys/types.h>

#include <string>

namespace lay {

/// As `mkdir -p`: `path` gets `mode`, what is missing above it gets `parents`. False when something of that
/// name is there already. Nothing is synced.
bool make_folders(const std::string& path, mode_t mode = 0700, mode_t parents = 0755);

}  // namespace lay
