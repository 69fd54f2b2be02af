#include "container/run_lock.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <string>

#include "base/await_lock.h"
#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"

namespace lay::runner {

namespace {

constexpr const char* kName = "lock";

}  // namespace

std::optional<FileLock> take_run_lock(const UniqueFd& dir) {
  if (auto made = sys::try_open_at(dir, kName, O_RDWR | O_NOFOLLOW))
    return FileLock::try_lock(std::move(*made), LockMode::exclusive);
  return FileLock::try_acquire(dir, kName, LockMode::exclusive);
}

void forget_exit_code(const FileLock& held) {
  sys::ftruncate(held.fd(), 0);
}

void write_exit_code(const FileLock& held, int exit_code) {
  with_context(fmt::format("write '{}'", kName),
               [&] { sys::write_all(held.fd(), fmt::format("{}\n", exit_code)); });
}

std::optional<UniqueFd> open_run_lock(const UniqueFd& dir) {
  return sys::try_open_at(dir, kName, O_RDONLY | O_NOFOLLOW);
}

bool is_run_locked(const UniqueFd& dir) {
  auto fd = open_run_lock(dir);
  return fd && !FileLock::try_lock(std::move(*fd), LockMode::shared);
}

std::optional<int> wait_for_run_lock(std::optional<UniqueFd> lock) {
  if (!lock) return std::nullopt;
  await_lock(*lock, LockMode::shared);
  std::string text = sys::read_all(*lock, 16);
  if (!text.empty() && text.back() == '\n') text.pop_back();
  const auto code = parse_number(text);
  return code ? std::optional(static_cast<int>(*code)) : std::nullopt;
}

}  // namespace lay::runner
