#pragma once

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace lay::test {

struct ShellResult {
  int status = 0;  ///< exit code; 128 and more for signals
  std::string output;
};

/// Runs a command line of sh(1); its output and errors come back together. For the judges that tests ask.
inline ShellResult shell(const std::string& command) {
  ShellResult result;
  FILE* pipe = ::popen(("exec 2>&1\n" + command).c_str(), "re");
  if (pipe == nullptr) std::abort();
  std::array<char, 4096> buffer;
  while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe))
    result.output.append(buffer.data(), count);
  const int status = ::pclose(pipe);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

}  // namespace lay::test
