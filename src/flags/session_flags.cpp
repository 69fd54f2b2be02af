#include "flags/session_flags.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/text.h"
#include "flags/foreign_flags.h"
#include "runner/lifecycle.h"

namespace lay::cli {

namespace {

/// Each "stdin", "stdout" or "stderr"; several may stand in one value.
std::vector<std::string> parse_streams(const std::vector<std::string>& values) {
  std::vector<std::string> streams;
  for (const std::string& value : values)
    for (const std::string& word : split(to_lower(value), ',')) {
      if (word != "stdin" && word != "stdout" && word != "stderr")
        throw Error::make(Errc::invalid, "--attach '{}' is none of stdin, stdout and stderr", printable(word))
            .with_hint("-a stdout -a stderr; without -a both are shown");
      streams.push_back(word);
    }
  return streams;
}

void attach(const std::vector<std::string>& streams, runner::ContainerConfig& config) {
  const auto has = [&](const char* stream) { return std::ranges::find(streams, stream) != streams.end(); };
  if (has("stdin")) config.open_stdin = true;
  config.first_run.shows_out = has("stdout");
  config.first_run.shows_errors = has("stderr");
}

}  // namespace

void SessionFlags::add_to(Parser& parser) {
  parser.add_list("-a,--attach", attached, "of the standard streams only these: stdin, stdout, stderr",
                  "STREAM");
  parser.add_flag("--sig-proxy", passes_signals, "hand signals on to the command (default)");
  parser.add_option("--preserve-fds", preserved_fds, "descriptors from 3 on that the command keeps")
      .type_name("N");
  parser.add_option("--timeout", timeout, "seconds until it is killed; its exit code is 255 then")
      .type_name("SECONDS");
  parser.add_option("--pidfile", pid_file, "each start writes the number of its first process to this file")
      .type_name("FILE");
  parser.add_option("--restart", restart, "no, which is all that lay does").type_name("WHEN");
  parser.add_flag("--no-healthcheck", makes_no_checks, "as without it: lay makes no checks");
}

void SessionFlags::require_known_ways() const {
  if (!restart.empty() && restart != "no")
    throw Error::make(Errc::unsupported, "--restart '{}': lay knows 'no' alone", printable(restart))
        .with_hint(std::string(way_without_flag("--restart")));
  if (!makes_no_checks)
    throw Error(Errc::unsupported, "--no-healthcheck=false: lay makes no checks")
        .with_hint(std::string(way_without_flag("--health-cmd")));
}

void SessionFlags::apply(runner::ContainerConfig& config) const {
  require_known_ways();
  if (attaches()) attach(parse_streams(attached), config);
  config.first_run.passes_signals = passes_signals;
  runner::check_preserved(preserved_fds);
  config.first_run.preserved_fds = preserved_fds;
  if (preserved_fds > 0 && !config.runtime.is_own())
    throw Error(Errc::unsupported, "--preserve-fds: another runtime gets no descriptors")
        .with_hint("leave it out, or leave out --runtime");
  config.timeout = std::chrono::seconds(timeout.value_or(0));
  if (pid_file.empty()) return;
  config.pid_file = std::filesystem::absolute(pid_file).lexically_normal();
  if (!std::filesystem::is_directory(std::filesystem::path(config.pid_file).parent_path()))
    throw Error::make(Errc::not_found, "--pidfile '{}': there is no such folder", printable(pid_file))
        .with_hint("name a file in a folder that is there");
  if (std::filesystem::is_directory(config.pid_file))
    throw Error::make(Errc::invalid, "--pidfile '{}' is a folder", printable(pid_file))
        .with_hint("name a file in it");
}

}  // namespace lay::cli
