#include "output/progress_display.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <list>
#include <mutex>

#include "base/text.h"
#include "output/messages.h"

namespace lay::cli {

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kRedraw = std::chrono::milliseconds(100);

struct Line {
  std::string label;
  std::uint64_t total = 0;
  std::uint64_t moved = 0;
  Clock::time_point said = Clock::now();  ///< where there are no bars: when a line last told of it
};

/// Where there are no bars: "layer 0123456789ab  210 MB of 493 MB".
std::string describe_plainly(const Line& line) {
  if (line.total == 0) return fmt::format("{}  {}", line.label, format_size(line.moved));
  return fmt::format("{}  {} of {}", line.label, format_size(std::min(line.moved, line.total)),
                     format_size(line.total));
}

std::string describe(const Line& line) {
  if (line.total == 0) return fmt::format("{}  {}", line.label, format_size(line.moved));
  constexpr std::uint64_t kWidth = 24;
  const std::uint64_t moved = std::min(line.moved, line.total);
  const auto filled = static_cast<std::size_t>(moved * kWidth / line.total);
  return fmt::format("{}  [{}{}] {} of {}", line.label, std::string(filled, '='),
                     std::string(kWidth - filled, ' '), format_size(moved), format_size(line.total));
}

/// Bars at the bottom of a terminal; finished ones scroll up as plain lines.
class Display final : public Progress {
 public:
  Display(bool is_terminal, std::chrono::milliseconds pause) : is_terminal_(is_terminal), pause_(pause) {}
  ~Display() override {
    const std::scoped_lock lock(mutex_);
    erase_locked();
  }

  std::unique_ptr<Task> begin(const std::string& label, std::uint64_t total) override;

 private:
  class DisplayTask;

  void finish(std::list<Line>::iterator line, const std::string& outcome) {
    const std::scoped_lock lock(mutex_);
    erase_locked();
    if (!outcome.empty()) print_diagnostic(fmt::format("{}  {}\n", line->label, outcome));
    lines_.erase(line);
    draw_locked();
  }

  void advance(std::list<Line>::iterator line, std::uint64_t bytes) {
    const std::scoped_lock lock(mutex_);
    line->moved += bytes;
    if (!is_terminal_) return say_locked(*line);
    if (Clock::now() - drawn_at_ < kRedraw) return;
    erase_locked();
    draw_locked();
  }

  /// A log needs no more than a sign of life.
  void say_locked(Line& line) {
    const Clock::time_point now = Clock::now();
    if (now - line.said < pause_) return;
    line.said = now;
    fmt::print(stderr, "{}\n", describe_plainly(line));
  }

  void erase_locked() {
    for (; drawn_ > 0; --drawn_) print_diagnostic("\x1b[1A\x1b[2K");
  }

  void draw_locked() {
    if (!is_terminal_) return;
    winsize size{};
    const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    const std::size_t width = known ? size.ws_col : 80;
    for (const Line& line : lines_)
      print_diagnostic(fmt::format("{}\n", describe(line).substr(0, width - 1)));
    drawn_ = lines_.size();
    drawn_at_ = Clock::now();
  }

  const bool is_terminal_;
  const std::chrono::milliseconds pause_;
  std::mutex mutex_;
  std::list<Line> lines_;
  std::size_t drawn_ = 0;
  Clock::time_point drawn_at_;
};

class Display::DisplayTask final : public Progress::Task {
 public:
  DisplayTask(Display& display, std::list<Line>::iterator line) : display_(display), line_(line) {}
  ~DisplayTask() override { display_.finish(line_, outcome_); }
  void advance(std::uint64_t bytes) override { display_.advance(line_, bytes); }
  void done(const std::string& outcome) override { outcome_ = outcome; }

 private:
  Display& display_;
  std::list<Line>::iterator line_;
  std::string outcome_;
};

std::unique_ptr<Progress::Task> Display::begin(const std::string& label, std::uint64_t total) {
  const std::scoped_lock lock(mutex_);
  const auto line = lines_.insert(lines_.end(), Line{.label = printable(label), .total = total});
  erase_locked();
  draw_locked();
  return std::make_unique<DisplayTask>(*this, line);
}

bool draws_bars() {
  const char* terminal = std::getenv("TERM");
  const bool is_dumb = terminal == nullptr || std::string_view(terminal) == "dumb";
  return ::isatty(STDERR_FILENO) != 0 && !is_dumb && std::getenv("NO_COLOR") == nullptr &&
         std::getenv("CI") == nullptr;
}

}  // namespace

std::unique_ptr<Progress> make_progress_display(std::chrono::milliseconds pause) {
  return std::make_unique<Display>(draws_bars(), pause);
}

}  // namespace lay::cli
