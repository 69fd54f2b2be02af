#pragma once

#include "runner/lifecycle.h"

namespace lay::cli {

/// The command's exit code. That not all of its output could be written is thrown where it knew of no failure
/// itself, as for what lay prints, and only told otherwise.
int exit_code_of(const runner::AttachedEnd& end);

}  // namespace lay::cli
