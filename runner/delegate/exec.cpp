#include "delegate/exec.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <utility>

#include "base/json.h"
#include "base/syscalls.h"
#include "cgroup/cgroup.h"
#include "delegate/adopt.h"
#include "delegate/console_socket.h"
#include "delegate/delegated.h"
#include "delegate/dialect.h"
#include "process/process.h"
#include "process/relay.h"
#include "process/stdio_pipes.h"
#include "runner/merged_view.h"
#include "runner/portable.h"

namespace lay::runner {

namespace {

/// What the runtime reads of one command, and what it writes of it, gone at the end.
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
    for (const std::string& other : {log_name(), pid_name(), console_name()})
      ::unlink((folder_ + "/" + other).c_str());
  }

  std::string path() const { return folder_ + "/" + name_; }
  std::string log_name() const { return name_ + ".log"; }
  std::string pid_name() const { return name_ + ".pid"; }
  std::string console_name() const { return name_ + ".tty"; }

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

/// The runtime sends the master of the command's terminal, and leaves the command to this process.
AttachedEnd exec_on_terminal(const ContainerConfig& config, const ContainerState& state,
                             const ExecFiles& files, InputMode input, const UniqueFd* birthplace) {
  const UniqueFd dir = sys::open_dir(sys::cwd(), state.delegated);
  const ConsoleSocket console(dir, files.console_name());
  const OrphansAdopted adopted;
  const SignalQueue signals;
  OtherRuntime(config, state.delegated, files.log_name())
      .run({"exec", "--detach", "--console-socket", console.path(), "--pid-file",
            state.delegated + "/" + files.pid_name(), "--process", files.path(), delegated_id(config)},
           {.birthplace = birthplace});
  ChildProcess process = adopt_process(dir, files.pid_name());
  std::optional<Error> lost =
      relay_until_end(process.pidfd(), parent_side(console.receive(), input), signals, {.terminal = true});
  return {.exit_code = process.wait(), .lost_output = std::move(lost)};
}

/// The command is the runtime's child, and the runtime is this process's. Pipes between, for gVisor writes to
/// a file from its start.
AttachedEnd exec_through_pipes(const ContainerConfig& config, const ContainerState& state,
                               const ExecFiles& files, InputMode input, const UniqueFd* birthplace) {
  const OtherRuntime runtime(config, state.delegated, files.log_name());
  const std::vector<std::string> command{"exec", "--process", files.path(), delegated_id(config)};
  Stdio stdio = make_pipes(input_for_others(input));
  const SignalQueue signals;
  auto child = ChildProcess::clone(0, birthplace);
  if (!child) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    take_stdio(stdio.child);
    runtime.execute_or_exit(command, STDERR_FILENO);
  }
  stdio.child = {};
  std::optional<Error> lost = relay_until_end(child->pidfd(), std::move(stdio.parent), signals, {});
  const int code = child->wait();
  const bool has_failed = code != 0 && runtime.has_failed();
  return {.exit_code = has_failed ? exit_code_of(runtime.failure(command, code)) : code,
          .lost_output = std::move(lost)};
}

/// A command that another runtime is about to execute.
struct Handover {
  ContainerState state;
  ExecFiles files;
  CgroupGuard cgroup;
  bool is_born_in_group;

  const UniqueFd* birthplace() const { return is_born_in_group ? cgroup.birthplace() : nullptr; }
};

Handover prepare(const Container& container, Process process) {
  const ContainerConfig& config = container.config();
  ContainerState state = container.state();
  runtime_of(config, state);  // says so when it has just ended
  const Dialect dialect = dialect_of(config.runtime.program, config.network.mode);
  fit_process(dialect, process);
  const std::string folder = state.delegated;
  return {.state = std::move(state),
          .files = ExecFiles(folder, portable_process(container, std::move(process))),
          .cgroup = CgroupGuard::open(cgroup_name_of(config)),
          .is_born_in_group = dialect.entry == GroupEntry::v2_before_create};
}

}  // namespace

AttachedEnd exec_delegated(const Container& container, Process process, const ExecRequest& request) {
  const Handover command = prepare(container, std::move(process));
  const InputMode input = request.open_stdin ? InputMode::relayed : InputMode::none;
  const auto exec = request.terminal ? exec_on_terminal : exec_through_pipes;
  return exec(container.config(), command.state, command.files, input, command.birthplace());
}

void exec_delegated_detached(const Container& container, Process process) {
  const ContainerConfig& config = container.config();
  const Handover command = prepare(container, std::move(process));
  const UniqueFd null = open_null_of_its_own();
  OtherRuntime(config, command.state.delegated, command.files.log_name())
      .run({"exec", "--detach", "--pid-file", command.state.delegated + "/" + command.files.pid_name(),
            "--process", command.files.path(), delegated_id(config)},
           {.birthplace = command.birthplace(), .stream = &null});
}

}  // namespace lay::runner
