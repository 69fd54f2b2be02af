#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "process/stdio_pipes.h"
#include "runner/container.h"

namespace lay::runner {

/// runsc gives what it gets as its standard streams to the user nobody.
constexpr InputMode input_for_others(InputMode input) {
  return input == InputMode::none ? InputMode::ended : input;
}

/// What OtherRuntime::run does with other children of this process that end meanwhile.
enum class OtherChildren {
  kept,    ///< they are waited for elsewhere
  reaped,  ///< nobody knows them but the runtime, which may wait until they are gone
};

struct CommandOptions {
  const UniqueFd* birthplace = nullptr;  ///< a cgroup, for ChildProcess::clone(); not owned
  OtherChildren others = OtherChildren::kept;
  const UniqueFd* stream = nullptr;  ///< becomes its three standard streams, instead of /dev/null; not owned
};

/// Another OCI runtime's command line, as runc defined it, for one container.
class OtherRuntime {
 public:
  /// `folder`: absolute; holds its root/ and the log of that name.
  OtherRuntime(const ContainerConfig& config, std::string folder, std::string log_name = "log");

  /// In a child: executes it with that command, and standard streams as they are. Throws
  /// what keeps it from that.
  [[noreturn]] void execute(const std::vector<std::string>& command) const;

  /// As execute(); what keeps it from that is written to the descriptor `told`, and the process ends.
  [[noreturn]] void execute_or_exit(const std::vector<std::string>& command, int told) const noexcept;

  /// Runs one of its commands to the end, with standard streams as `options` say; throws what it logged, or
  /// that it took longer than a minute.
  void run(const std::vector<std::string>& command, const CommandOptions& options = {}) const;
  /// What it logged last when it ended with that code, or without a log the last line of what it `said` on
  /// standard error. no_command and not_invocable are told apart by its
  /// words, which the runtimes have in common with the C library or with Go's.
  Error failure(const std::vector<std::string>& command, int exit_code, std::string_view said = {}) const;
  /// Whether it has logged an error.
  bool has_failed() const;
  std::string log() const { return folder_ + "/" + log_name_; }

 private:
  std::vector<std::string> words_;  ///< program and global flags
  std::string hidden_;              ///< Dialect::hidden
  std::string folder_;
  std::string log_name_;
};

}  // namespace lay::runner
