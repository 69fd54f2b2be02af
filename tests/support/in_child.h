#pragma once

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <functional>
#include <string>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/unique_fd.h"

namespace lay::test {

/// What became of a child.
struct ChildResult {
  std::string text;   ///< what the body returned
  std::string error;  ///< the message of what it threw, "hint: " and hint on a second line; empty when it
                      ///< threw nothing
  int status = 0;     ///< as waitpid(2) gives it
};

/// Runs `body` in a child process made with the clone flags `flags` (CLONE_NEWNS …) and hands over what it
/// returned or threw. The child never returns into the test; Catch2's macros have no effect in it.
inline ChildResult in_child(int flags, const std::function<std::string()>& body) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  const long pid = ::syscall(SYS_clone, flags | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  REQUIRE(pid >= 0);
  if (pid == 0) {
    for (const int signal : {SIGSEGV, SIGABRT, SIGFPE, SIGILL, SIGTERM})
      ::signal(signal, SIG_DFL);  // Catch2's
    try {
      sys::write_all(writer, "=" + body());
    } catch (const Error& error) {
      sys::write_all(writer, "!" + error.message() + (error.hint().empty() ? "" : "\nhint: " + error.hint()));
    } catch (const std::exception& error) {
      sys::write_all(writer, std::string("!") + error.what());
    }
    ::_exit(0);
  }
  writer.reset();
  const std::string said = sys::read_all(reader, 1 << 24);
  ChildResult result;
  REQUIRE(::waitpid(static_cast<pid_t>(pid), &result.status, 0) == pid);
  if (said.starts_with('=')) result.text = said.substr(1);
  if (said.starts_with('!')) result.error = said.substr(1);
  if (said.empty()) result.error = "the child ended without an answer";
  return result;
}

}  // namespace lay::test
