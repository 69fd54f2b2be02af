#pragma once

#include <chrono>
#include <memory>

#include "base/progress.h"

namespace lay::cli {

/// Progress on stderr: bars that are redrawn on a terminal; elsewhere one line for each finished piece, and
/// one in every `pause` for what takes longer. NO_COLOR, TERM=dumb and CI give lines too. Draws at most ten
/// times a second.
std::unique_ptr<Progress> make_progress_display(std::chrono::milliseconds pause = std::chrono::seconds(10));

}  // namespace lay::cli
