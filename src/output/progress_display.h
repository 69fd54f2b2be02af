#pragma once

#include <memory>

#include "base/progress.h"

namespace lay::cli {

/// Progress on stderr: bars that are redrawn on a terminal, one line for each finished piece elsewhere.
/// NO_COLOR, TERM=dumb and CI give lines too. Draws at most ten times a second.
std::unique_ptr<Progress> make_progress_display();

}  // namespace lay::cli
