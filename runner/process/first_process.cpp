#include "process/first_process.h"

#include <utility>

#include "base/error.h"
#include "process/process.h"

namespace lay::runner {

std::optional<FirstProcess> try_open_first_process(const Container& container) {
  const ContainerState state = container.state();
  if (state.status != Status::running || state.pid == 0) return std::nullopt;
  auto pidfd = open_process(state.pid);
  if (!pidfd || start_time(state.pid) != state.pid_start_time) return std::nullopt;
  return FirstProcess{.pid = state.pid, .pidfd = std::move(*pidfd)};
}

FirstProcess open_first_process(const Container& container) {
  auto process = try_open_first_process(container);
  if (!process)
    throw Error::make(Errc::invalid, "container '{}' is not running", container.config().name)
        .with_hint(fmt::format("start it with 'lay start {}'", container.config().name));
  return std::move(*process);
}

}  // namespace lay::runner
