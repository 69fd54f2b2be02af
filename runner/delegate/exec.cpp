#include "delegate/exec.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <utility>

#include "base/json.h"
#include "base/syscalls.h"
#include "delegate/delegated.h"
#include "process/process.h"
#include "process/relay.h"
#include "process/stdio_pipes.h"
#include "runner/merged_view.h"
#include "runner/portable.h"

namespace lay::runner {

namespace {

/// What the runtime reads of one command and what it logs, gone at the end.
class ExecFiles {
 public:
  ExecFiles(const std::string& folder, const Json& process)
      : folder_(folder), name_("exec-" + sys::random_hex(8)) {
    sys::write_all(sys::open_at(sys::cwd(), path(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600),
                   dump_json(process));
  }
  ExecFiles(const ExecFiles&) = delete;
  ExecFiles& operator=(const ExecFiles&) = delete;
  ~ExecFiles() {
    ::unlink(path().c_str());
    ::unlink((folder_ + "/" + log_name()).c_str());
  }

  std::string path() const { return folder_ + "/" + name_; }
  std::string log_name() const { return name_ + ".log"; }

 private:
  std::string folder_;
  std::string name_;
};

/// With the user that /etc/passwd of the container names now.
Json portable_process(const Container& container, Process process) {
  std::vector<std::string> layers{container.path() + "/upper"};
  layers.insert(layers.end(), container.config().lowers.begin(), container.config().lowers.end());
  Spec spec = container.config().spec;
  spec.process = std::move(process);
  return portable_json(make_portable(std::move(spec), open_merged_view(layers))).at("process");
}

/// The runtime has said why on standard error.
int exit_code_of(const Error& error) {
  if (error.code() == Errc::no_command) return 127;
  return error.code() == Errc::not_invocable ? 126 : 125;
}

}  // namespace

int exec_delegated(const Container& container, Process process, const ExecRequest& request) {
  const ContainerConfig& config = container.config();
  const ContainerState state = container.state();
  runtime_of(config, state);  // says so when it has just ended
  const ExecFiles files(state.delegated, portable_process(container, std::move(process)));
  const OtherRuntime runtime(config, state.delegated, files.log_name());
  const std::vector<std::string> command{"exec", "--process", files.path(), delegated_id(config)};
  Stdio stdio;  // pipes, for gVisor writes to a file from its start; a terminal is the runtime's to relay
  if (!request.terminal) stdio = make_pipes(request.open_stdin ? InputMode::relayed : InputMode::none);
  const SignalQueue signals;
  auto child = ChildProcess::clone(0, nullptr);
  if (!child) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!request.terminal) take_stdio(stdio.child);
    runtime.execute(command);
  }
  stdio.child = {};
  relay_until_end(child->pidfd(), std::move(stdio.parent), signals, {});
  const int code = child->wait();
  return code != 0 && runtime.has_failed() ? exit_code_of(runtime.failure(command, code)) : code;
}

}  // namespace lay::runner
