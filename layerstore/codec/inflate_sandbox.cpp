#include "codec/inflate_sandbox.h"

#include <linux/close_range.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <ctime>

#include "base/cancel.h"
#include "base/error.h"
#include "base/syscalls.h"
#include "base/unique_fd.h"

namespace lay::layerstore {

namespace {

constexpr std::size_t kIn = 256 * 1024;
constexpr std::size_t kOut = 512 * 1024;

/// What the two processes share. A socket carries one byte each way, which says whose turn it is.
struct Exchange {
  enum class Task : std::uint8_t { begin_member, step } task = Task::step;
  std::size_t in_size = 0;
  RawStep result;
  std::array<std::byte, kIn> in;
  std::array<std::byte, kOut> out;
};

struct Unmap {
  void operator()(Exchange* exchange) const { ::munmap(exchange, sizeof(Exchange)); }
};
using SharedExchange = std::unique_ptr<Exchange, Unmap>;

SharedExchange share_memory() {
  void* memory = ::mmap(nullptr, sizeof(Exchange), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw Error::from_errno("map memory for an inflater");
  return SharedExchange(new (memory) Exchange);
}

struct Sockets {
  UniqueFd ours;
  UniqueFd theirs;
};

Sockets make_sockets() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) < 0)
    throw Error::from_errno("make a socket for an inflater");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

/// Where a sanitizer checks the type of an object, it asks the kernel what may be read: more than the child
/// may.
[[gnu::no_sanitize("vptr")]] void perform(RawInflater& inner, Exchange& exchange) noexcept {
  if (exchange.task == Exchange::Task::begin_member)
    inner.begin_member();
  else
    exchange.result = inner.step(std::span(exchange.in).first(exchange.in_size), exchange.out);
}

[[noreturn]] void leave() noexcept {
  for (;;) ::syscall(SYS_exit, 0);  // exit_group(2) is not among what strict mode allows
}

/// The child. Other threads of lay were cut off wherever they were, so nothing here takes a lock or memory.
[[noreturn]] void serve(RawInflater& inner, Exchange& exchange, int socket) noexcept {
  ::sigset_t all{};  // lay's own handlers make system calls
  ::sigfillset(&all);
  if (::sigprocmask(SIG_SETMASK, &all, nullptr) < 0) leave();
  constexpr ::rlimit kCpu{.rlim_cur = 3600, .rlim_max = 3600};  // seconds: should lay die and it not end
  if (::setrlimit(RLIMIT_CPU, &kCpu) < 0 || ::dup2(socket, 0) < 0) leave();
  if (::syscall(SYS_close_range, 1U, ~0U, 0) < 0) leave();
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) < 0) leave();
  char turn = 0;
  for (;;) {
    const ssize_t got = ::read(0, &turn, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got != 1) leave();
    perform(inner, exchange);
    while (::write(0, &turn, 1) != 1) {
      if (errno != EINTR) leave();
    }
  }
}

class SandboxedInflater final : public Inflater {
 public:
  SandboxedInflater(std::unique_ptr<RawInflater> inner, std::chrono::milliseconds patience)
      : patience_(patience), exchange_(share_memory()) {
    Sockets sockets = make_sockets();
    child_ = ::fork();
    if (child_ < 0) throw Error::from_errno("start an inflater");
    if (child_ == 0) serve(*inner, *exchange_, sockets.theirs.get());
    socket_ = std::move(sockets.ours);
  }
  SandboxedInflater(const SandboxedInflater&) = delete;
  SandboxedInflater& operator=(const SandboxedInflater&) = delete;

  ~SandboxedInflater() override {
    ::kill(child_, SIGKILL);
    sys::retry_eintr([&] { return ::waitpid(child_, nullptr, 0); });
  }

  void begin_member() override {
    exchange_->task = Exchange::Task::begin_member;
    hand_over();
  }

  /// The child always fills the whole room it shares; what `out` has no room for is given by later calls, so
  /// that small reads do not cost a change of processes each.
  InflateStep step(std::span<const std::byte> in, std::span<std::byte> out) override {
    InflateStep total;
    for (;;) {
      total.produced += give(out.subspan(total.produced));
      if (!given_all()) return total;
      if (ended_) {
        ended_ = false;
        total.is_member_end = true;
        return total;
      }
      const auto rest = in.subspan(total.consumed);
      if (total.produced == out.size() || (rest.empty() && !may_hold_back_)) return total;
      const std::size_t consumed = run_round(rest);
      total.consumed += consumed;
      if (consumed == 0 && given_all() && !ended_) return total;
    }
  }

 private:
  bool given_all() const { return given_ == produced_; }

  std::size_t give(std::span<std::byte> out) {
    const std::size_t count = std::min(out.size(), produced_ - given_);
    if (count > 0) std::memcpy(out.data(), exchange_->out.data() + given_, count);
    given_ += count;
    return count;
  }

  /// Returns how much of `in` was taken.
  std::size_t run_round(std::span<const std::byte> in) {
    const std::size_t offered = std::min(in.size(), kIn);
    exchange_->task = Exchange::Task::step;
    exchange_->in_size = offered;
    if (offered > 0) std::memcpy(exchange_->in.data(), in.data(), offered);
    hand_over();
    const RawStep result = exchange_->result;  // a copy: the other side could still write to it
    if (result.consumed > offered || result.produced > kOut)
      throw Error(Errc::corrupt, "gzip data is damaged: it took over the inflater");
    const InflateStep step = checked_step(result);
    given_ = 0;
    produced_ = step.produced;
    may_hold_back_ = step.produced == kOut;
    ended_ = step.is_member_end;
    return step.consumed;
  }

  void hand_over() {
    char turn = 0;
    const auto sent = sys::retry_eintr([&] { return ::send(socket_.get(), &turn, 1, MSG_NOSIGNAL); });
    if (sent == 1) await_reply();
    if (sys::retry_eintr([&] { return ::read(socket_.get(), &turn, 1); }) == 1) return;
    throw_if_cancelled();
    throw Error(Errc::corrupt, "gzip data is damaged: the inflater crashed on it");
  }

  /// Patience counts the child's own time: it may have been stopped, or the machine may be busy.
  void await_reply() {
    ::pollfd reply{.fd = socket_.get(), .events = POLLIN};
    const auto begun = cpu_time();
    while (sys::retry_eintr([&] { return ::poll(&reply, 1, static_cast<int>(patience_.count())); }) == 0) {
      throw_if_cancelled();
      if (cpu_time() - begun >= patience_ / 2)
        throw Error(Errc::corrupt, "gzip data is damaged: inflating it does not end");
    }
  }

  std::chrono::nanoseconds cpu_time() const {
    ::clockid_t clock{};
    ::timespec time{};
    if (::clock_getcpuclockid(child_, &clock) != 0 || ::clock_gettime(clock, &time) < 0) return {};
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  }

  const std::chrono::milliseconds patience_;
  const SharedExchange exchange_;
  pid_t child_ = -1;
  UniqueFd socket_;
  std::size_t produced_ = 0;  ///< bytes of the last round
  std::size_t given_ = 0;     ///< of these, given to the caller
  bool may_hold_back_ = false;
  bool ended_ = false;  ///< the member, with the last round
};

}  // namespace

std::unique_ptr<Inflater> make_sandboxed_inflater(std::unique_ptr<RawInflater> inner,
                                                  std::chrono::milliseconds patience) {
  return std::make_unique<SandboxedInflater>(std::move(inner), patience);
}

}  // namespace lay::layerstore
