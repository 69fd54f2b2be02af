#pragma once

#include <sys/types.h>

#include "base/unique_fd.h"
#include "runner/container.h"

namespace lay::runner {

/// A container's first process, as everybody but its supervisor gets at it.
struct FirstProcess {
  pid_t pid = 0;
  UniqueFd pidfd;
};

/// Throws invalid, with a hint, when the container is not running. The number is believed only together with
/// the start time that the supervisor wrote down, looked at after the descriptor is open: then it can mean no
/// other process.
FirstProcess open_first_process(const Container& container);
/// As open_first_process; empty when it is not running.
std::optional<FirstProcess> try_open_first_process(const Container& container);

}  // namespace lay::runner
