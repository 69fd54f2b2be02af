#include "base/pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>

#include "base/error.h"

namespace lay {

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) throw Error::from_errno("make a pipe");
  return {UniqueFd{ends[0]}, UniqueFd{ends[1]}};
}

}  // namespace lay
