#include "container/run_lock.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/await_lock.h"
#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"

namespace lay::runner {

namespace {

constexpr const char* kName = "lock";
constexpr int kWidth = 40;  // of the one line, always: it is overwritten where it lies
constexpr std::size_t kMostBytes = 64;

void write_line(const FileLock& held, const std::string& text) {
  with_context(fmt::format("write '{}'", kName), [&] {
    const std::string line = fmt::format("{:<{}}\n", text, kWidth);
    const std::span<const std::byte> bytes = std::as_bytes(std::span(line));
    for (std::size_t done = 0; done < bytes.size();)
      done += sys::pwrite_some(held.fd(), bytes.subspan(done), done);
  });
}

/// Of an older lay the exit code alone.
std::optional<RunEnd> parse_end(std::string_view text) {
  const std::vector<std::string> words = split(text.substr(0, text.find_first_of("\n")), ' ');
  const auto code = parse_number(words.front());
  if (!code) return std::nullopt;
  RunEnd end{.exit_code = static_cast<int>(*code), .oom_killed = false, .finished = {}};
  if (words.size() < 3) return end;
  end.oom_killed = words[1] == "oom";
  end.finished = Time(std::chrono::seconds(parse_number(words[2]).value_or(0)));
  return end;
}

}  // namespace

std::optional<FileLock> take_run_lock(const UniqueFd& dir) {
  if (auto made = sys::try_open_at(dir, kName, O_RDWR | O_NOFOLLOW))
    return FileLock::try_lock(std::move(*made), LockMode::exclusive);
  return FileLock::try_acquire(dir, kName, LockMode::exclusive);
}

void forget_end(const FileLock& held) {
  write_line(held, "");
}

void write_end(const FileLock& held, const RunEnd& end) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(end.finished.time_since_epoch());
  write_line(held, fmt::format("{} {} {}", end.exit_code, end.oom_killed ? "oom" : "end", seconds.count()));
}

std::optional<RunEnd> read_end(const UniqueFd& dir) {
  const std::optional<UniqueFd> file = open_run_lock(dir);
  return file ? parse_end(sys::read_all(*file, kMostBytes)) : std::nullopt;
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
  const std::optional<RunEnd> end = parse_end(sys::read_all(*lock, kMostBytes));
  return end ? std::optional(end->exit_code) : std::nullopt;
}

}  // namespace lay::runner
