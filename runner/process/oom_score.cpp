#include "process/oom_score.h"

#include <fcntl.h>

#include <cerrno>

#include "base/error.h"
#include "base/syscalls.h"

namespace lay::runner {

namespace {

constexpr const char* kFile = "/proc/self/oom_score_adj";

void write_score(const std::string& score) {
  sys::write_all(sys::open_at(sys::cwd(), kFile, O_WRONLY), score);
}

}  // namespace

OomScoreGuard::OomScoreGuard(std::optional<int> score) {
  if (!score) return;
  try {
    previous_ = sys::read_all(sys::open_at(sys::cwd(), kFile, O_RDONLY), 64);
    write_score(std::to_string(*score));
  } catch (Error& error) {
    error.add_context(fmt::format("--oom-score-adj {}", *score));
    if (error.error_number() == EACCES)
      error.with_hint("less than lay's own takes CAP_SYS_RESOURCE, which lay does not have here");
    throw;
  }
}

OomScoreGuard::~OomScoreGuard() {
  if (previous_.empty()) return;
  try {
    write_score(previous_);
  } catch (const Error&) {
    // Back down takes CAP_SYS_RESOURCE; what stays is what the user asked for.
  }
}

}  // namespace lay::runner
