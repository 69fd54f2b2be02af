#include "containers/attached_end.h"

#include <csignal>

#include "output/messages.h"

namespace lay::cli {

namespace {

/// Whether the command knew of a failure itself: one that goes on writes into a pipe, or has a terminal, that
/// was closed because its output could not be written.
bool has_own_code(int exit_code) {
  return exit_code != 0 && exit_code != 128 + SIGPIPE && exit_code != 128 + SIGHUP;
}

}  // namespace

int exit_code_of(const runner::AttachedEnd& end) {
  if (end.lost_output && !has_own_code(end.exit_code)) throw *end.lost_output;
  if (end.lost_output) print_trouble(*end.lost_output);
  return end.exit_code;
}

}  // namespace lay::cli
