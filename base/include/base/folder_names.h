#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"

/// The names in a folder, without "." and "..".
namespace lay {

/// Calls `visit` with one after the other, in no order, until it returns false.
void visit_names(const UniqueFd& dir, const std::function<bool(std::string_view)>& visit);

/// All of them, sorted.
std::vector<std::string> list_names(const UniqueFd& dir);

/// Those that do not begin with '.', sorted: what does is a half-written file (AtomicFile), or what a killed
/// process left of one.
std::vector<std::string> list_visible_names(const UniqueFd& dir);

}  // namespace lay
