#include "runner/standstill.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <thread>
#include <utility>

#include "base/detach.h"
#include "base/error.h"
#include "base/pipe.h"
#include "base/syscalls.h"
#include "cgroup/freezer.h"
#include "cgroup/group_name.h"
#include "container/run_lock.h"
#include "process/first_process.h"

namespace lay::runner {

namespace {

/// The life of the process that thaws in any case. It has the upper's lock as well, until then.
[[noreturn]] void keep_watch(const UniqueFd& watch, const std::function<void()>& thaw) noexcept {
  try {
    std::array<std::byte, 1> word{};
    sys::read_some(watch, word);  // nobody writes one: it returns when the other process has ended or closed
    thaw();
  } catch (const std::exception&) {
    // Nobody is left to be told; 'lay unpause' does it
  }
  ::_exit(0);
}

/// Of everything but those two, locks among it.
void close_others(const UniqueFd& one, const UniqueFd& other) {
  const auto [low, high] =
      std::minmax({static_cast<unsigned>(one.get()), static_cast<unsigned>(other.get())});
  constexpr unsigned kFirst = STDERR_FILENO + 1;
  if (low > kFirst) ::close_range(kFirst, low - 1, 0);
  if (high > low + 1) ::close_range(low + 1, high - 1, 0);
  ::close_range(high + 1, ~0U, 0);
}

/// A start may have to find a free address on a wire first, or the machine may have much else to do.
constexpr std::chrono::seconds kLimit{30};
constexpr std::chrono::milliseconds kPause{2};

/// When nobody starts it, nor clears up behind it: whoever does may be waiting for the upper.
FileLock lock_settled(const Container& container) {
  const auto deadline = std::chrono::steady_clock::now() + kLimit;
  while (std::chrono::steady_clock::now() < deadline) {
    {
      FileLock upper = container.lock_upper(LockMode::exclusive);
      if (!is_run_locked(container.dir()) || try_open_first_process(container)) return upper;
    }
    std::this_thread::sleep_for(kPause);
  }
  throw Error::make(Errc::busy, "container '{}' is being started or ended all the time",
                    container.config().name)
      .with_hint("'lay ps -a' says how it stands");
}

}  // namespace

Standstill::Standstill(const Container& container) : container_(container), upper_(lock_settled(container)) {}

void Standstill::freeze() {
  const auto groups = find_groups(cgroup_name_of(container_.config()));
  if (groups.empty() || are_frozen(groups)) return;
  Pipe ends = make_pipe();
  const UniqueFd watch = std::move(ends.read);
  watched_ = std::move(ends.write);
  const auto thaw = [name = cgroup_name_of(container_.config())] { thaw_groups(find_groups(name)); };
  if (detach(Descriptors::own)) {
    close_others(watch, upper_.fd());
    keep_watch(watch, thaw);
  }
  thaw_ = thaw;
  try {
    freeze_groups(groups);
  } catch (const Error& error) {
    if (!is_group_gone(error)) throw;  // it has just ended
  }
}

Standstill::~Standstill() {
  if (!thaw_) return;
  try {
    thaw_();
  } catch (const std::exception&) {
    // The other process tries again
  }
}

}  // namespace lay::runner
