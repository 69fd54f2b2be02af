#pragma once

#include <functional>
#include <stop_token>
#include <vector>

namespace lay::registry {

/// Runs the jobs in order, up to `parallel` at a time (at least one), and returns when all have ended. The
/// first failure asks the others to stop through their token, keeps jobs that have not begun from beginning,
/// and is rethrown.
void run_parallel(const std::vector<std::function<void(const std::stop_token&)>>& jobs, unsigned parallel);

}  // namespace lay::registry
