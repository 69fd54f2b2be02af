#include "base/error.h"
#include "cgroup/freezer.h"
#include "process/first_process.h"
#include "runner/lifecycle.h"

namespace lay::runner {

namespace {

Error just_ended(const Container& container) {
  return Error::make(Errc::invalid, "container '{}' has just ended", container.config().name)
      .with_hint(fmt::format("lay start {}", container.config().name));
}

}  // namespace

void pause_container(const Container& container) {
  const FileLock upper = container.lock_upper(LockMode::shared);
  open_first_process(container);  // says so when it is not running
  const auto groups = find_groups(cgroup_name_of(container.config()));
  if (are_frozen(groups))
    throw Error::make(Errc::invalid, "container '{}' is paused already", container.config().name)
        .with_hint(fmt::format("lay unpause {}", container.config().name));
  if (groups.empty()) throw just_ended(container);
  try {
    freeze_groups(groups);
  } catch (const Error& error) {
    if (!is_group_gone(error)) throw;
    throw just_ended(container);
  }
}

void unpause_container(const Container& container) {
  const FileLock upper = container.lock_upper(LockMode::shared);
  open_first_process(container);
  const auto groups = find_groups(cgroup_name_of(container.config()));
  if (!are_frozen(groups))
    throw Error::make(Errc::invalid, "container '{}' is not paused", container.config().name)
        .with_hint(fmt::format("lay pause {}", container.config().name));
  thaw_groups(groups);
}

bool is_paused(const Container& container) {
  return are_frozen(find_groups(cgroup_name_of(container.config())));
}

}  // namespace lay::runner
