#include "process/relay.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/syscalls.h"
#include "process/process.h"
#include "process/pty.h"
#include "process/terminal.h"

namespace lay::runner {

namespace {

/// Besides SIGKILL and SIGSTOP, which nobody can: those that tell lay of its children, pipes and sockets, of
/// a terminal that it reads in the background, of its own limits, and of its own faults.
constexpr std::array kNotPassedOn{SIGCHLD, SIGPIPE, SIGURG, SIGTTIN, SIGTTOU, SIGXCPU, SIGXFSZ,
                                  SIGILL,  SIGTRAP, SIGBUS, SIGFPE,  SIGSEGV, SIGSYS};
constexpr std::size_t kBlockSize = 64 * 1024;
/// What a pipe takes without blocking once poll(2) calls it writable: pipe(7), PIPE_BUF. lay's own output is
/// shared with others, so it cannot be made non-blocking.
constexpr std::size_t kWriteSize = 4096;
// What poll(2) waits, in milliseconds.
constexpr int kIdle = 1000;
constexpr int kForever = -1;
constexpr int kLongest = 3'600'000;
/// Control-D, which ends the input of a terminal's reader.
constexpr std::byte kEndOfTransmission{4};

/// One direction: bytes read from `from`, held until `to` takes them; without `to` they are only shown.
class Channel {
 public:
  Channel(int from, int to) : from_(from), to_(to) {}

  bool is_open() const { return from_ >= 0; }
  bool has_pending() const { return begin_ < end_; }
  /// What to wait for next; nothing when it has ended.
  std::optional<::pollfd> wanted() const {
    if (has_pending()) return ::pollfd{.fd = to_, .events = POLLOUT, .revents = 0};
    if (is_open()) return ::pollfd{.fd = from_, .events = POLLIN, .revents = 0};
    return std::nullopt;
  }
  /// Reads one block; `seen` gets it. False when there is nothing now; an end closes the channel.
  template <class Seen>
  bool fill(Seen seen) {
    block_.resize(kBlockSize);
    const ssize_t count = sys::retry_eintr([&] { return ::read(from_, block_.data(), block_.size()); });
    if (count <= 0) {
      if (count == 0 || errno != EAGAIN) from_ = -1;  // a pty whose other side is closed says EIO
      return false;
    }
    const auto size = static_cast<std::size_t>(count);
    seen(std::span<const std::byte>(block_).first(size));
    begin_ = 0;
    end_ = to_ < 0 ? 0 : size;
    return true;
  }
  /// Writes what fits; false when the reader is gone.
  bool drain() {
    const std::size_t size = std::min(end_ - begin_, kWriteSize);
    const ssize_t count = sys::retry_eintr([&] { return ::write(to_, block_.data() + begin_, size); });
    if (count < 0) return errno == EAGAIN;
    begin_ += static_cast<std::size_t>(count);
    return true;
  }
  void put(std::byte byte) {
    block_.assign(1, byte);
    begin_ = 0;
    end_ = 1;
  }
  void close() {
    from_ = -1;
    begin_ = end_ = 0;
  }

 private:
  int from_;
  int to_;
  std::vector<std::byte> block_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Of a pipe, a socket, and a terminal that has hung up.
bool is_reader_gone(int descriptor, int error_number) {
  if (error_number == EPIPE || error_number == ECONNRESET) return true;
  struct ::stat info {};
  return error_number == EIO && ::fstat(descriptor, &info) == 0 && S_ISCHR(info.st_mode);
}

class Relay {
 public:
  Relay(const UniqueFd& pidfd, ParentStdio stdio, const SignalQueue& signals, const RelayOptions& options)
      : pidfd_(pidfd),
        stdio_(std::move(stdio)),
        signals_(signals),
        options_(options),
        in_(is_joined() && stdio_.in ? STDIN_FILENO : -1, stdio_.in.get()),
        out_(stdio_.out.get(), is_joined() && options.shows_out ? STDOUT_FILENO : -1),
        err_(stdio_.err.get(), is_joined() && options.shows_errors ? STDERR_FILENO : -1) {}

  /// Returns what kept output from being written.
  std::optional<Error> run() {
    if (options_.terminal) follow_window_size();
    while (!has_ended_) wait_once();
    // All writers are dead: what is in the pipes is all that will ever come.
    finish(out_, stdio_.out, LogStream::out);
    finish(err_, stdio_.err, LogStream::err);
    return std::move(lost_);
  }

 private:
  bool is_joined() const { return options_.own_stdio == Joined::yes; }

  void wait_once() {
    std::array<::pollfd, 5> entries{{{.fd = pidfd_.get(), .events = POLLIN, .revents = 0},
                                     {.fd = signals_.fd().get(), .events = POLLIN, .revents = 0},
                                     in_.wanted().value_or(::pollfd{.fd = -1, .events = 0, .revents = 0}),
                                     out_.wanted().value_or(::pollfd{.fd = -1, .events = 0, .revents = 0}),
                                     err_.wanted().value_or(::pollfd{.fd = -1, .events = 0, .revents = 0})}};
    const int events = ::poll(entries.data(), entries.size(), patience());
    if (events < 0) {
      if (errno == EINTR) return;
      throw Error::from_errno("wait for the container");
    }
    if (is_late() && entries[0].revents == 0) tell_lateness();  // else it has ended by itself
    if (events == 0 && options_.when_idle) return std::exchange(options_.when_idle, nullptr)();
    if (entries[1].revents != 0) pass_signals_on();
    if (entries[2].revents != 0) move_input();
    if (entries[3].revents != 0) move_output(out_, stdio_.out, LogStream::out);
    if (entries[4].revents != 0) move_output(err_, stdio_.err, LogStream::err);
    has_ended_ = entries[0].revents != 0;
  }

  /// How long poll(2) may wait.
  int patience() const {
    const int idle = options_.when_idle ? kIdle : kForever;
    if (!options_.deadline) return idle;
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(*options_.deadline - std::chrono::steady_clock::now());
    const auto most = std::chrono::milliseconds(idle == kForever ? kLongest : idle);
    return static_cast<int>(std::clamp(left, std::chrono::milliseconds(0), most).count());
  }

  bool is_late() const { return options_.deadline && std::chrono::steady_clock::now() >= *options_.deadline; }

  void tell_lateness() {
    options_.deadline.reset();
    options_.when_late();
  }

  void move_input() {
    if (in_.has_pending()) {
      if (!in_.drain()) end_input();
      return;
    }
    in_.fill([](auto) {});
    if (in_.is_open() || in_.has_pending()) return;
    if (options_.terminal)
      in_.put(kEndOfTransmission);
    else
      end_input();
  }

  void end_input() {
    in_.close();
    stdio_.in.reset();
  }

  bool move_output(Channel& channel, UniqueFd& source, LogStream stream) {
    if (channel.has_pending()) {
      if (channel.drain()) return true;
      note_loss(stream);
      channel.close();
      source.reset();
      return false;
    }
    return channel.fill([&](std::span<const std::byte> bytes) {
      if (options_.log != nullptr) options_.log->write(stream, text_of(bytes));
    });
  }

  /// After a write that has failed. That a reader is gone is no loss: it has what it wanted.
  void note_loss(LogStream stream) {
    const int number = errno;
    const bool is_out = stream == LogStream::out;
    if (lost_ || is_reader_gone(is_out ? STDOUT_FILENO : STDERR_FILENO, number)) return;
    lost_ = Error::from_number(number, fmt::format("write to standard {}", is_out ? "output" : "error"))
                .with_hint("from there on what the command wrote is missing");
  }

  void finish(Channel& channel, UniqueFd& source, LogStream stream) {
    for (;;) {
      if (channel.has_pending()) wait_until_writable(channel);
      if (!channel.has_pending() && !channel.is_open()) return;
      if (!move_output(channel, source, stream) && !channel.has_pending()) return;
    }
  }

  static void wait_until_writable(const Channel& channel) {
    ::pollfd entry = channel.wanted().value();
    if (sys::retry_eintr([&] { return ::poll(&entry, 1, -1); }) < 0) throw Error::from_errno("wait to write");
  }

  void pass_signals_on() {
    while (const auto signal = signals_.take()) {
      if (is_about_own_window(*signal))
        follow_window_size();
      else if (is_joined() && options_.passes_signals)
        send_signal(pidfd_, signal->number);
    }
  }

  /// A command without terminal has no window; what somebody sends to lay is meant for it: to httpd it says
  /// to end.
  bool is_about_own_window(const TakenSignal& signal) const {
    return signal.number == SIGWINCH && (options_.terminal || signal.sent_by == SentBy::kernel);
  }

  void follow_window_size() {
    if (!options_.terminal || !is_joined() || !stdio_.out) return;
    if (const auto size = user_terminal_size()) set_window_size(stdio_.out, *size);
  }

  const UniqueFd& pidfd_;
  ParentStdio stdio_;
  const SignalQueue& signals_;
  RelayOptions options_;
  Channel in_;
  Channel out_;
  Channel err_;
  bool has_ended_ = false;
  std::optional<Error> lost_;
};

}  // namespace

SignalQueue::SignalQueue() {
  ::sigset_t set;
  ::sigfillset(&set);
  for (const int signal : kNotPassedOn) ::sigdelset(&set, signal);
  struct ::sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  fd_ = UniqueFd{::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
  if (!fd_) throw Error::from_errno("make a signal descriptor");
  if (::sigprocmask(SIG_BLOCK, &set, &before_) < 0 || ::sigaction(SIGPIPE, &ignore, &pipe_before_) < 0)
    throw Error::from_errno("collect signals");
}

SignalQueue::~SignalQueue() {
  ::sigaction(SIGPIPE, &pipe_before_, nullptr);
  ::sigprocmask(SIG_SETMASK, &before_, nullptr);
}

UniqueFd open_end_requests() {
  ::sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGQUIT, SIGHUP}) ::sigaddset(&set, signal);
  UniqueFd fd{::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
  if (!fd) throw Error::from_errno("make a signal descriptor");
  return fd;
}

std::optional<TakenSignal> SignalQueue::take() const {
  ::signalfd_siginfo info{};
  if (::read(fd_.get(), &info, sizeof info) != sizeof info) return std::nullopt;
  return TakenSignal{.number = static_cast<int>(info.ssi_signo),
                     .sent_by = info.ssi_code == SI_KERNEL ? SentBy::kernel : SentBy::process};
}

std::optional<Error> relay_until_end(const UniqueFd& pidfd, ParentStdio stdio, const SignalQueue& signals,
                                     const RelayOptions& options) {
  std::optional<RawTerminal> raw;
  if (options.terminal && options.own_stdio == Joined::yes) raw.emplace(stdio.in ? Raw::all : Raw::output);
  return Relay(pidfd, std::move(stdio), signals, options).run();
}

}  // namespace lay::runner
