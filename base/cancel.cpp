#include "base/cancel.h"

#include <csignal>

#include "base/error.h"

namespace lay {

namespace {

volatile std::sig_atomic_t g_requested = 0;  // the one global: a signal handler has nowhere else to write

void on_signal(int number) {
  g_requested = 1;
  std::signal(number, SIG_DFL);
}

}  // namespace

void cancel_on_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

bool cancel_requested() noexcept {
  return g_requested != 0;
}

void throw_if_cancelled() {
  if (cancel_requested()) throw Error(Errc::cancelled, "interrupted");
}

}  // namespace lay
