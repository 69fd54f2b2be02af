#pragma once

#include "base/unique_fd.h"

namespace lay {

/// The two ends of a pipe, both closed by exec.
struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

/// pipe2(2); throws what it says.
Pipe make_pipe();

}  // namespace lay
