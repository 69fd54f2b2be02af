#pragma once

#include <string>
#include <vector>

#include "base/unique_fd.h"

/// Files of texts that each end in a NUL.
namespace lay::layerstore {

std::string join_list(const std::vector<std::string>& items);

/// Nothing when the file is absent.
std::vector<std::string> read_list(const UniqueFd& dir, const std::string& name);

/// Replaces the file as a whole; without items there is none.
void write_list(const UniqueFd& dir, const std::string& name, const std::vector<std::string>& items);

}  // namespace lay::layerstore
