#include "base/cancel.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>

#include "base/error.h"

namespace lay {

namespace {

// The only globals: a signal handler has nowhere else to write.
volatile std::sig_atomic_t g_requested = 0;  // the signal
volatile std::sig_atomic_t g_event = -1;     // eventfd(2)

void on_signal(int number) {
  const int before = errno;
  g_requested = number;
  constexpr std::uint64_t kOne = 1;
  [[maybe_unused]] const auto written = ::write(g_event, &kOne, sizeof kOne);
  errno = before;
  std::signal(number, SIG_DFL);
}

}  // namespace

void cancel_on_signals() {
  if (g_event < 0) g_event = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

bool cancel_requested() noexcept {
  return g_requested != 0;
}

int cancel_signal() noexcept {
  return g_requested;
}

int cancel_descriptor() noexcept {
  return g_event;
}

void throw_if_cancelled() {
  if (cancel_requested()) throw Error(Errc::cancelled, "interrupted");
}

}  // namespace lay
