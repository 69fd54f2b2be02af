#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/syscalls.h"
#include "container/log_format.h"
#include "container/log_writer.h"
#include "container/run_lock.h"
#include "runner/lifecycle.h"

namespace lay::runner {

namespace {

using Print = std::function<void(LogStream, const std::string&)>;

/// A supervisor that was killed says nothing, so it is looked after this often.
constexpr int kLookMilliseconds = 1000;

/// Reads one log file line by line; at the end it can go on later, when more was written.
class LineReader {
 public:
  explicit LineReader(UniqueFd file) : file_(std::move(file)) {}

  /// The next whole line, without its newline; empty at the end of what is written.
  std::optional<std::string> next() {
    for (;;) {
      if (const std::size_t end = buffer_.find('\n', begin_); end != std::string::npos) {
        std::string line = buffer_.substr(begin_, end - begin_);
        begin_ = end + 1;
        return line;
      }
      buffer_.erase(0, begin_);
      begin_ = 0;
      std::array<std::byte, 65536> block;
      const std::size_t count = sys::read_some(file_, block);
      if (count == 0) return std::nullopt;
      buffer_.append(reinterpret_cast<const char*>(block.data()), count);
    }
  }

  bool is_same_file(const UniqueFd& dir) const {
    const auto named = sys::try_stat_at(dir, kLogFile);
    return named && named->st_ino == sys::stat_of(file_).st_ino;
  }

 private:
  UniqueFd file_;
  std::string buffer_;
  std::size_t begin_ = 0;
};

std::optional<LineReader> open_log(const UniqueFd& dir, const char* name) {
  auto fd = sys::try_open_at(dir, name, O_RDONLY | O_NOFOLLOW);
  if (!fd) return std::nullopt;
  return LineReader(std::move(*fd));
}

/// Both files, the older first, as they are now.
std::vector<LineReader> open_logs(const UniqueFd& dir) {
  std::vector<LineReader> logs;
  for (const char* name : {kOldLogFile, kLogFile})
    if (auto log = open_log(dir, name)) logs.push_back(std::move(*log));
  return logs;
}

/// Pieces without a newline at the very end make one more line.
std::uint64_t count_lines(const UniqueFd& dir) {
  std::uint64_t lines = 0;
  bool is_open = false;
  for (LineReader& log : open_logs(dir)) {
    while (const auto line = log.next()) {
      const auto entry = parse_log_line(*line);
      if (!entry) continue;
      is_open = entry->end == LineEnd::none;
      if (!is_open) ++lines;
    }
  }
  return lines + (is_open ? 1 : 0);
}

/// Passes on what is to be seen of the entries that go through it.
class Printer {
 public:
  Printer(const LogRequest& request, std::uint64_t skip, const Print& print)
      : timestamps_(request.timestamps),
        since_(request.since ? format_exact_time(*request.since) : ""),
        until_(request.until ? format_exact_time(*request.until) : ""),
        skip_(skip),
        print_(print) {}

  void drain(LineReader& log) {
    while (const auto line = log.next())
      if (const auto entry = parse_log_line(*line)) show(*entry);
  }

 private:
  void show(const LogEntry& entry) {
    if (skip_ > 0) {
      if (entry.end == LineEnd::newline) --skip_;
      return;
    }
    if (entry.time < since_ || (!until_.empty() && entry.time > until_)) return;
    std::string text;
    if (timestamps_ && at_line_start_) text.append(entry.time).append(" ");
    text.append(entry.text);
    if (entry.end == LineEnd::newline) text.append("\n");
    at_line_start_ = entry.end == LineEnd::newline;
    print_(entry.stream, text);
  }

  bool timestamps_;
  // Times of one form and zone: their order is that of the letters.
  std::string since_;
  std::string until_;
  std::uint64_t skip_;
  const Print& print_;
  bool at_line_start_ = true;
};

/// Wakes up when a file of the container's folder is written, replaced or renamed.
class FolderWatch {
 public:
  explicit FolderWatch(const UniqueFd& dir) : fd_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
    if (!fd_) throw Error::from_errno("watch the log");
    const std::string path = fmt::format("/proc/self/fd/{}", dir.get());
    if (::inotify_add_watch(fd_.get(), path.c_str(), IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
      throw Error::from_errno("watch the log");
  }

  void wait() const {
    ::pollfd entry{.fd = fd_.get(), .events = POLLIN, .revents = 0};
    ::poll(&entry, 1, kLookMilliseconds);
    std::array<std::byte, 4096> events;
    while (::read(fd_.get(), events.data(), events.size()) > 0) continue;
  }

 private:
  UniqueFd fd_;
};

bool is_past(const std::optional<Time>& moment) {
  return moment && std::chrono::system_clock::now() > *moment;
}

/// Prints what comes until the supervisor is gone, or `until` is past. That is asked before the last look at
/// the file, so that nothing written in between is missed.
void follow(const UniqueFd& dir, std::optional<LineReader> log, Printer& printer, const FolderWatch& watch,
            const std::optional<Time>& until) {
  for (;;) {
    const bool is_live = !is_past(until) && is_run_locked(dir);
    if (log) printer.drain(*log);
    if (!log || !log->is_same_file(dir)) {
      // It was full: what was written between our reading and its renaming is still in the old file.
      if (log) printer.drain(*log);
      if (auto next = open_log(dir, kLogFile)) {
        log = std::move(next);
        continue;
      }
    }
    if (!is_live) return;
    watch.wait();
  }
}

}  // namespace

void read_log(const Container& container, const LogRequest& request, const Print& print) {
  const UniqueFd& dir = container.dir();
  const FolderWatch watch(dir);
  std::uint64_t skip = 0;
  if (request.tail) {
    const std::uint64_t lines = count_lines(dir);
    skip = lines > *request.tail ? lines - *request.tail : 0;
  }
  Printer printer(request, skip, print);
  std::vector<LineReader> logs = open_logs(dir);
  for (LineReader& log : logs) printer.drain(log);
  if (request.follow == LogFollow::no) return;
  std::optional<LineReader> current;
  if (!logs.empty()) current = std::move(logs.back());
  follow(dir, std::move(current), printer, watch, request.until);
}

}  // namespace lay::runner
