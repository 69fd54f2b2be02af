#include "runner/standstill.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <exception>

#include "base/detach.h"
#include "base/error.h"
#include "base/syscalls.h"
#include "cgroup/freezer.h"
#include "cgroup/group_name.h"

namespace lay::runner {

namespace {

/// Of everything but `kept`, locks among it.
void close_others(const UniqueFd& kept) {
  const auto number = static_cast<unsigned>(kept.get());
  constexpr unsigned kFirst = STDERR_FILENO + 1;
  if (number > kFirst) ::close_range(kFirst, number - 1, 0);
  ::close_range(number + 1, ~0U, 0);
}

/// The life of the process that thaws when the other one has been killed.
[[noreturn]] void keep_watch(const UniqueFd& watch, const std::function<void()>& thaw) noexcept {
  close_others(watch);
  try {
    std::array<std::byte, 1> word{};
    if (sys::read_some(watch, word) == 0) thaw();
  } catch (const std::exception&) {
    // Nobody is left to be told; 'lay unpause' does it
  }
  ::_exit(0);
}

}  // namespace

Standstill::Standstill(const Container& container) {
  const CgroupName name = cgroup_name_of(container.config());
  const auto groups = find_groups(name);
  if (groups.empty() || are_frozen(groups)) return;
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) throw Error::from_errno("make a pipe");
  const UniqueFd watch(ends[0]);
  watched_ = UniqueFd(ends[1]);
  const auto thaw = [name] { thaw_groups(find_groups(name)); };
  if (detach(Descriptors::own)) keep_watch(watch, thaw);
  freeze_groups(groups);
  thaw_ = thaw;
}

Standstill::~Standstill() {
  if (!thaw_) return;
  try {
    thaw_();
    sys::write_all(watched_, std::string_view("x"));
  } catch (const std::exception&) {
    // The other process tries again
  }
}

}  // namespace lay::runner
