#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>

#include "base/cancel.h"
#include "base/error.h"
#include "base/file_lock.h"
#include "base/process_title.h"
#include "base/syncing.h"
#include "base/text.h"
#include "command.h"
#include "command_words.h"
#include "flags/options.h"
#include "oci/oci.h"
#include "output/messages.h"

namespace lay::cli {

namespace {

constexpr int kUsageExit = 125;

void print_overview(std::FILE* to) {
  fmt::print(to, "lay {}: take a hand-configured service away as an OCI layer\n\n", LAY_VERSION);
  fmt::print(to, "usage: lay [--root DIR] COMMAND [flags] …\n\n");
  for (const Command& command : all_commands()) fmt::print(to, "  {:<9} {}\n", command.name, command.summary);
  fmt::print(
      to,
      "\nglobal flags\n  --root DIR           where images and containers are kept (or LAY_ROOT); now {}\n",
      default_context().root);
  fmt::print(
      to,
      "  --max-unpacked SIZE  what a layer of others may grow to (or LAY_MAX_UNPACKED): 20g\n"
      "  --max-entries N      how many files it may have (or LAY_MAX_ENTRIES): ten million\n"
      "  --no-sync            for tests: do not wait for the disk, and lose to a power cut what was done\n"
      "  --version            print the version\n  -h, --help           this page; lay COMMAND --help "
      "explains a command\n");
}

/// The words of the command line, taken apart.
struct CommandLine {
  Context context = default_context();
  const Command* command = nullptr;
  Arguments arguments;
};

/// The value of a global flag, behind '=' or as the next word; `word` is the flag's name then.
std::string take_value(std::string& word, Arguments& words) {
  const std::string whole = word;
  const std::size_t equals = word.find('=');
  std::optional<std::string> value;
  if (equals != std::string::npos) {
    value = word.substr(equals + 1);
    word.resize(equals);
  } else if (!words.empty()) {
    value = words.front();
    words.erase(words.begin());
  }
  if (value.value_or("").empty() || (word != "--root" && word != "--max-unpacked" && word != "--max-entries"))
    throw UsageError{fmt::format("unknown or incomplete global flag '{}'", printable(whole))};
  return *value;
}

void set_global_flag(Context& context, const std::string& flag, const std::string& value) {
  if (flag == "--root") {
    context.root = std::filesystem::absolute(value).lexically_normal();
  } else if (flag == "--max-unpacked") {
    context.unpack_limits.most_bytes = parse_max_unpacked(value);
  } else {
    context.unpack_limits.most_entries = parse_max_entries(value);
  }
}

CommandLine parse_command_line(Arguments words) {
  CommandLine line;
  while (!words.empty() && words.front().starts_with("-")) {
    std::string word = words.front();
    words.erase(words.begin());
    if (word == "-h" || word == "--help") throw HelpRequested{""};
    if (word == "--version" || word == "-v") throw HelpRequested{fmt::format("lay {}\n", LAY_VERSION)};
    if (word == "--no-sync") {
      stop_syncing();
      fmt::print(stderr,
                 "lay: --no-sync: a power cut can take what this command does, and damage what it touches\n");
      continue;
    }
    const std::string value = take_value(word, words);
    set_global_flag(line.context, word, value);
  }
  const bool asks_for_help = !words.empty() && words.front() == "help";
  if (asks_for_help) words.erase(words.begin());
  if (words.empty()) throw HelpRequested{""};
  line.command = take_command(words);
  if (line.command == nullptr) {
    const UnknownCommand unknown = explain_unknown_command(words);
    throw Error(Errc::invalid, unknown.message).with_hint(unknown.hint);
  }
  if (asks_for_help) words.insert(words.begin(), "--help");
  line.arguments = std::move(words);
  return line;
}

int exit_code_of(const Error& error, const Command* command) {
  if (error.code() == Errc::no_command) return 127;
  if (error.code() == Errc::not_invocable) return 126;
  if (error.code() == Errc::cancelled) return 128 + (cancel_requested() ? cancel_signal() : SIGINT);
  return command == nullptr ? 1 : command->error_code;
}

/// stdin, stdout and stderr must exist before anything is opened: a store file
/// must never become descriptor 1.
void reopen_missing_stdio() {
  for (int fd = 0; fd <= 2; ++fd)
    if (::fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", O_RDWR) != fd) ::_exit(kUsageExit);
}

void tell_waiting(const std::string& lock, int holder) {
  const std::string who = holder > 0 ? fmt::format("process {}", holder) : "another lay";
  fmt::print(stderr, "lay: waiting for {}, which holds '{}'\n", who, printable(lock));
}

int dispatch(const CommandLine& line) {
  notice_waiting(tell_waiting);
  std::signal(SIGXFSZ, SIG_IGN);  // a limit of file sizes is an error to clean up after, not the end
  if (line.command->interrupt == Interrupt::unwinds) cancel_on_signals();
  try {
    return line.command->run(line.context, line.arguments);
  } catch (const UsageError& error) {
    print_error(error.message,
                error.hint.empty() ? fmt::format("lay {} --help", line.command->name) : error.hint);
    return line.command->error_code;
  } catch (const Error& error) {
    print_error(error.message(), error.hint());
    return exit_code_of(error, line.command);
  }
}

/// Of a full disk, say. finish_output() tells it.
void print_help(const HelpRequested& help) {
  try {
    if (help.text.empty())
      print_overview(stdout);
    else
      fmt::print("{}", help.text);
  } catch (const std::system_error&) {
  }
}

int run_program(const Arguments& words) {
  try {
    return dispatch(parse_command_line(words));
  } catch (const HelpRequested& help) {
    print_help(help);
    return 0;
  } catch (const UsageError& error) {
    print_error(error.message, "lay --help");
    return kUsageExit;
  } catch (const Error& error) {
    print_error(error.message(), error.hint());
    return kUsageExit;
  } catch (const std::exception& error) {
    print_error(error.what(), "");
    return kUsageExit;
  }
}

/// The same program by another name is the OCI runtime: engines call a path and pass nothing before the
/// runtime's own flags.
int run_by_name(const char* name, const Arguments& words) {
  const bool is_runtime = name != nullptr && std::filesystem::path(name).filename() == "lay-oci";
  if (is_runtime) return run_oci(words);
  if (!words.empty() && words.front() == "oci") return run_oci({words.begin() + 1, words.end()});
  return run_program(words);
}

/// The exit code: what is lost of the output is an error where the command knew of none. A flush before may
/// have met it, of which the stream only remembers that there was one.
int finish_output(int code) {
  const bool had_error = std::ferror(stdout) != 0;
  errno = 0;
  const bool is_flushed = std::fflush(stdout) == 0;
  if ((is_flushed && !had_error) || code != 0) return code;
  const std::string what = is_flushed || errno == 0 ? "write the output: not all of it could be written"
                                                    : Error::from_errno("write the output").message();
  print_error(what, "");
  return 1;
}

}  // namespace

}  // namespace lay::cli

int main(int argc, char** argv) {
  lay::cli::reopen_missing_stdio();
  lay::remember_command_line(argc, argv);
  const int code = lay::cli::run_by_name(argv[0], {argv + 1, argv + argc});
  return lay::cli::finish_output(code);
}
