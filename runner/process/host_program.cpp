#include "process/host_program.h"

#include <linux/close_range.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>

#include "base/error.h"
#include "base/text.h"

namespace lay::runner {

namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

}  // namespace

std::vector<std::string> own_environment() {
  std::vector<std::string> env;
  for (char** entry = environ; *entry != nullptr; ++entry) env.emplace_back(*entry);
  return env;
}

void execute_host_program(const std::string& path, std::vector<std::string> args,
                          std::vector<std::string> env) {
  const std::vector<char*> argv = pointers(args);
  const std::vector<char*> envp = pointers(env);
  ::sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  std::signal(SIGPIPE, SIG_DFL);
  std::signal(SIGXFSZ, SIG_DFL);
  if (::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) >= 0)
    ::execve(path.c_str(), argv.data(), envp.data());
  throw Error::from_errno("execute '{}'", printable(path));
}

}  // namespace lay::runner
