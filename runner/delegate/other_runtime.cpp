#include "delegate/other_runtime.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "delegate/dialect.h"
#include "process/host_program.h"
#include "process/process.h"
#include "process/stdio_pipes.h"

namespace lay::runner {

namespace {

constexpr std::size_t kMaxLog = 64 * 1024;  // of its end
constexpr std::chrono::seconds kPatience{60};
constexpr std::chrono::milliseconds kReapPause{10};
constexpr int kCannotBegin = 125;

/// The message of one line of a log, if it tells of an error: JSON, or the line itself.
std::optional<std::string> error_in(const std::string& line) {
  try {
    const Json json = parse_json(line, "log");
    const std::string level = json_string_or(json, "level", "error");
    if (level != "error" && level != "fatal") return std::nullopt;
    return json_string_or(json, "msg", {});
  } catch (const Error&) {
    return line;
  }
}

/// The end of the log; runsc writes its objects without lines.
std::vector<std::string> lines_of(const std::string& log) {
  const auto file = sys::try_open_at(sys::cwd(), log, O_RDONLY | O_NOFOLLOW);
  if (!file) return {};
  const auto size = static_cast<std::size_t>(sys::stat_of(*file).st_size);
  std::string text(std::min(size, kMaxLog), '\0');
  const ssize_t count =
      ::pread(file->get(), text.data(), text.size(), static_cast<::off_t>(size - text.size()));
  text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  std::string lines;
  for (const char letter : text) {
    if (letter == '{' && lines.ends_with('}')) lines += '\n';
    lines += letter;
  }
  return split(lines, '\n');
}

std::string last_error(const std::string& log) {
  std::string last;
  for (const std::string& line : lines_of(log))
    if (!line.empty())
      if (auto message = error_in(line); message && !message->empty()) last = std::move(*message);
  return last;
}

std::string last_line(std::string_view text) {
  std::string last;
  for (std::string& line : split(text, '\n'))
    if (!line.empty()) last = std::move(line);
  return last;
}

bool says(std::string_view message, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(),
                     [&](std::string_view word) { return message.find(word) != std::string_view::npos; });
}

void append(std::vector<std::string>& words, const std::vector<std::string>& more) {
  words.insert(words.end(), more.begin(), more.end());
}

/// From this process alone: in a mount namespace of its own, from which nothing comes back.
void hide(const std::string& mount_point) {
  if (::unshare(CLONE_NEWNS) < 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) < 0 ||
      ::umount2(mount_point.c_str(), MNT_DETACH) < 0)
    throw Error::from_errno("hide '{}' from the runtime", mount_point);
}

/// Whether it ends while there is patience. waitid(2) tells of one child at a time, so of others until it is
/// `child`.
bool reap_others_until_end(const ChildProcess& child) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!wait_for_end(child.pidfd(), kReapPause)) {
    if (std::chrono::steady_clock::now() > end) return false;
    ::siginfo_t info{};
    while (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0 &&
           info.si_pid != child.pid())
      ::waitid(P_PID, static_cast<id_t>(info.si_pid), &info, WEXITED | WNOHANG);
  }
  return true;
}

Errc code_of(std::string_view message) {
  if (says(message, {"executable file not found", "executable file `", "error finding executable"}))
    return Errc::no_command;
  const bool is_of_command = says(message, {"exec: ", "exec ", "execve", "starting container process",
                                            "open executable", "failed to load"});
  if (is_of_command && says(message, {"no such file", "No such file"})) return Errc::no_command;
  if (is_of_command &&
      says(message, {"permission denied", "Permission denied", "exec format", "Exec format"}))
    return Errc::not_invocable;
  return Errc::io;
}

}  // namespace

OtherRuntime::OtherRuntime(const ContainerConfig& config, std::string folder, std::string log_name)
    : words_{config.runtime.program}, folder_(std::move(folder)), log_name_(std::move(log_name)) {
  Dialect dialect = dialect_of(config.runtime.program, config.network.mode);
  append(words_, {"--root", folder_ + "/root", "--log", log(), "--log-format", "json"});
  append(words_, dialect.flags);
  append(words_, config.runtime.flags);
  hidden_ = std::move(dialect.hidden);
}

bool OtherRuntime::has_failed() const {
  return !last_error(log()).empty();
}

void OtherRuntime::execute(const std::vector<std::string>& command) const {
  std::vector<std::string> words = words_;
  append(words, command);
  if (!hidden_.empty()) hide(hidden_);
  execute_host_program(words_.front(), std::move(words), own_environment());
}

void OtherRuntime::execute_or_exit(const std::vector<std::string>& command, int told) const noexcept {
  try {
    execute(command);
  } catch (const std::exception& error) {
    const std::string text = fmt::format("lay: {}\n", error.what());
    static_cast<void>(!::write(told, text.data(), text.size()));
  }
  ::_exit(kCannotBegin);
}

void OtherRuntime::run(const std::vector<std::string>& command, const CommandOptions& options) const {
  auto child = ChildProcess::clone(0, options.birthplace);
  if (!child) {
    const int stream =
        options.stream != nullptr ? options.stream->get() : ::open("/dev/null", O_RDWR | O_CLOEXEC);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(stream, fd);
    // Where failure() looks for what the runtime says
    execute_or_exit(command,
                    ::open(log().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  }
  const bool has_ended = options.others == OtherChildren::reaped ? reap_others_until_end(*child)
                                                                 : wait_for_end(child->pidfd(), kPatience);
  if (!has_ended)
    throw Error::make(Errc::io, "{} took longer than {} s and was killed", join(command, " "),
                      kPatience.count());
  if (const int code = child->wait(); code != 0) throw failure(command, code);
}

Error OtherRuntime::failure(const std::vector<std::string>& command, int exit_code,
                            std::string_view said) const {
  const std::string name = std::filesystem::path(words_.front()).filename();
  std::string message = last_error(log());
  if (message.empty()) message = last_line(said);
  if (message.empty())
    return Error::make(Errc::io, "{} {} ended with code {}", name, command.front(), exit_code)
        .with_hint(fmt::format("try {} by hand: lay bundle IMAGE DIR", name));
  return Error::make(code_of(message), "{} {}: {}", name, command.front(), printable(message));
}

}  // namespace lay::runner
