#include "oci/hooks.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <utility>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "process/host_program.h"
#include "process/process.h"

namespace lay::runner {

namespace {

constexpr int kCannotExecute = 127;  // as a shell has it

Hook parse_hook(const Json& json) {
  Hook hook{.path = json_string(json, "path"), .args = json_strings(json, "args"), .env = {}, .timeout = {}};
  if (json_find(json, "env") != nullptr) hook.env = json_strings(json, "env");
  if (!hook.path.starts_with('/'))
    throw Error::make(Errc::invalid, "path '{}' is not absolute", printable(hook.path));
  if (json_find(json, "timeout") == nullptr) return hook;
  const std::int64_t timeout = json_int(json, "timeout");
  if (timeout <= 0) throw Error::make(Errc::invalid, "timeout {} is not positive", timeout);
  hook.timeout = std::chrono::seconds(timeout);
  return hook;
}

std::vector<Hook> parse_list(const Json& hooks, const char* kind) {
  std::vector<Hook> list;
  for (const Json& json : json_array(hooks, kind))
    list.push_back(
        with_context(fmt::format("hooks.{}[{}]", kind, list.size()), [&] { return parse_hook(json); }));
  return list;
}

/// A file without a name, so that a hook that does not read its input keeps nobody waiting.
UniqueFd input_with(const std::string& text) {
  UniqueFd fd{::memfd_create("lay-state", MFD_CLOEXEC)};
  if (!fd) throw Error::from_errno("make a file in memory");
  sys::write_all(fd, text);
  if (::lseek(fd.get(), 0, SEEK_SET) < 0) throw Error::from_errno("rewind the state");
  return fd;
}

/// A container may have no /dev/null.
UniqueFd open_sink() {
  if (auto null = sys::try_open_at(sys::cwd(), "/dev/null", O_WRONLY | O_NOFOLLOW)) return std::move(*null);
  return input_with("");
}

void take_streams(const UniqueFd& input) {
  const UniqueFd sink = open_sink();
  for (const auto& [fd, number] :
       {std::pair{input.get(), STDIN_FILENO}, {sink.get(), STDOUT_FILENO}, {sink.get(), STDERR_FILENO}})
    if (::dup2(fd, number) < 0) throw Error::from_errno("set descriptor {}", number);
}

/// An engine may have removed the bundle before it deletes the container.
void enter_folder(const std::string& folder) {
  if (folder.empty() || ::chdir(folder.c_str()) == 0 || ::chdir("/") == 0) return;
  throw Error::from_errno("enter '{}'", printable(folder));
}

/// What an engine has open is not the hook's, and of a hook inside the container neither is what lay has.
[[noreturn]] void execute(Hook hook, const std::string& folder, const UniqueFd& input) noexcept {
  try {
    if (hook.args.empty()) hook.args.push_back(hook.path);
    take_streams(input);
    enter_folder(folder);
    execute_host_program(hook.path, std::move(hook.args),
                         std::move(hook.env).value_or(std::vector<std::string>{}));
  } catch (const std::exception&) {
    // The code tells it, as a shell's does
  }
  ::_exit(kCannotExecute);
}

/// `folder`: where it begins; empty: where this process is.
void run(const Hook& hook, const std::string& folder, const UniqueFd& input) {
  auto child = ChildProcess::clone(0, nullptr);
  if (!child) execute(hook, folder, input);
  if (!wait_for_end(child->pidfd(), hook.timeout)) {
    send_signal(child->pidfd(), SIGKILL);
    child->wait();
    throw Error::make(Errc::io, "took longer than {} s and was killed", hook.timeout->count());
  }
  const int code = child->wait();
  if (code == kCannotExecute) throw Error(Errc::io, "ended with code 127, or cannot be executed");
  if (code != 0) throw Error::make(Errc::io, "ended with code {}", code);
}

}  // namespace

Hooks parse_hooks(const Json& config) {
  const Json* hooks = json_find(config, "hooks");
  if (hooks == nullptr) return {};
  return {.prestart = parse_list(*hooks, "prestart"),
          .create_runtime = parse_list(*hooks, "createRuntime"),
          .create_container = parse_list(*hooks, "createContainer"),
          .start_container = parse_list(*hooks, "startContainer"),
          .poststart = parse_list(*hooks, "poststart"),
          .poststop = parse_list(*hooks, "poststop")};
}

void run_hooks(const std::vector<Hook>& hooks, const char* kind, const Json& state, HookSide side) {
  if (hooks.empty()) return;
  const std::string text = dump_json(state);
  const std::string folder = side == HookSide::runtime ? json_string(state, "bundle") : "";
  for (Hook hook : hooks) {
    if (side == HookSide::runtime && !hook.env) hook.env = own_environment();
    with_context(fmt::format("hook {} '{}'", kind, printable(hook.path)),
                 [&] { run(hook, folder, input_with(text)); });
  }
}

}  // namespace lay::runner
