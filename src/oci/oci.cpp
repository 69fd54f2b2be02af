#include "oci/oci.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <chrono>

#include "base/error.h"
#include "base/json.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "flags/options.h"
#include "output/messages.h"

namespace lay::cli {

namespace {

constexpr std::array kCommands{
    OciCommand{"create", "make a container from a bundle", oci_command_create},
    OciCommand{"start", "let a created container execute its command", oci_command_start},
    OciCommand{"run", "create and start", oci_command_run},
    OciCommand{"state", "show a container's state as JSON", oci_command_state},
    OciCommand{"list", "list containers", oci_command_list},
    OciCommand{"kill", "send a signal to a container", oci_command_kill},
    OciCommand{"delete", "take a stopped container away", oci_command_delete},
    OciCommand{"exec", "run a command inside a container", oci_command_exec},
    OciCommand{"ps", "list a container's processes", oci_command_ps},
    OciCommand{"pause", "let every process of a container stand still", oci_command_pause},
    OciCommand{"update", "give a container other limits", oci_command_update},
    OciCommand{"events", "print what a container takes", oci_command_events},
    OciCommand{"spec", "write a configuration to begin with", oci_command_spec},
    OciCommand{"features", "show what this runtime can do, as JSON", oci_command_features},
    OciCommand{"resume", "let a paused container go on", oci_command_resume},
};

constexpr int kErrorExit = 1;

std::string version_text() {
  return fmt::format("lay-oci version {}\nspec: {}\n+CAP +SECCOMP +EBPF +LANDLOCK\n", LAY_VERSION,
                     runner::kRuntimeSpecVersion);
}

void print_overview(const Parser& parser) {
  fmt::print("{}\ncommands\n", parser.help());
  for (const OciCommand& command : kCommands) fmt::print("  {:<9} {}\n", command.name, command.summary);
}

/// What engines look for in an error, to tell what it means.
std::string engine_text(const Error& error) {
  std::string text = error.message();
  const auto add = [&](const char* words) {
    if (text.find(words) == std::string::npos) text += fmt::format(": {}", words);
  };
  if (error.code() == Errc::no_command) add("executable file not found in $PATH");
  if (error.code() == Errc::not_invocable && error.hint().starts_with("chmod")) add("permission denied");
  return text;
}

std::string log_line(const OciContext& context, const char* level, const std::string& message) {
  const std::string time = format_time(std::chrono::system_clock::now());
  if (context.log_format == OciLogFormat::json)
    return dump_json(Json{{"level", level}, {"msg", printable(message)}, {"time", time}}) + "\n";
  return fmt::format("time=\"{}\" level={} msg={}\n", time, level, dump_json(Json(printable(message))));
}

void append_to_log(const OciContext& context, const std::string& line) {
  try {
    const UniqueFd log = sys::open_at(sys::cwd(), context.log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    sys::write_all(log, line);
  } catch (const Error& trouble) {
    print_trouble(trouble);
  }
}

/// In the engine's log, or on standard error.
void log(const OciContext& context, const char* level, const std::string& message) {
  const std::string line = log_line(context, level, message);
  context.log.empty() ? print_diagnostic(line) : append_to_log(context, line);
}

void debug(const OciContext& context, const std::string& message) {
  if (context.is_debug) log(context, "debug", message);
}

/// In the engine's log, and for people on standard error.
void report(const OciContext& context, const Error& error) {
  const std::string message = engine_text(error);
  const std::string line = log_line(context, "error", message);
  if (!error.hint().empty()) debug(context, error.hint());
  if (context.log.empty() && context.log_format == OciLogFormat::json) return print_diagnostic(line);
  if (!context.log.empty()) append_to_log(context, line);
  print_error(message, error.hint());
}

const OciCommand& find_command(const std::string& name) {
  for (const OciCommand& command : kCommands)
    if (command.name == name) return command;
  throw UsageError{fmt::format("unknown command '{}'", printable(name))};
}

/// The global flags' own words, before they mean something.
struct GlobalFlags {
  std::string log_format = "text";
  std::string cgroup_manager = "cgroupfs";
  std::string log_level;
  std::string rootless;
  std::string criu;
  bool systemd_cgroup = false;
  bool wants_version = false;
};

void add_flags(Parser& parser, OciContext& context, GlobalFlags& flags) {
  parser.add_option("--root", context.root, "where the containers' states are kept").type_name("DIR");
  parser.add_option("--log", context.log, "file that gets errors").type_name("FILE");
  parser.add_option("--log-format", flags.log_format, "text or json")
      .one_of({"text", "json"})
      .type_name("FORMAT");
  parser.add_option("--log-level", flags.log_level, "taken for others' sake: errors are all there is")
      .type_name("LEVEL");
  parser.add_option("--cgroup-manager", flags.cgroup_manager, "cgroupfs or disabled").type_name("MANAGER");
  parser.add_option("--rootless", flags.rootless, "taken for others' sake").type_name("true|false|auto");
  parser.add_option("--criu", flags.criu, "taken for others' sake").type_name("PATH");
  parser.add_flag("--systemd-cgroup", flags.systemd_cgroup, "refused: cgroups are made by lay itself");
  parser.add_flag("--debug", context.is_debug, "log each call, how it ends and how long it takes, too");
  parser.add_flag("-v,--version", flags.wants_version, "print the version");
}

void apply(const GlobalFlags& flags, OciContext& context) {
  if (flags.log_format == "json") context.log_format = OciLogFormat::json;
  if (flags.systemd_cgroup || flags.cgroup_manager == "systemd")
    throw Error(Errc::unsupported, "cgroups by systemd are not supported")
        .with_hint("let the engine use the cgroup manager cgroupfs");
  if (flags.cgroup_manager == "disabled")
    context.cgroup_manager = OciCgroupManager::disabled;
  else if (flags.cgroup_manager != "cgroupfs")
    throw Error::make(Errc::invalid, "'{}' is no cgroup manager", printable(flags.cgroup_manager))
        .with_hint("cgroupfs or disabled");
}

int run_logged(const OciContext& context, const OciCommand& command, const Arguments& arguments) {
  using Clock = std::chrono::steady_clock;
  if (!context.is_debug) return command.run(context, arguments);
  // Of exec they may be secrets: its environment, and the command's own
  debug(context,
        command.name == "exec" ? "exec" : fmt::format("{} {}", command.name, fmt::join(arguments, " ")));
  const auto begun = Clock::now();
  const auto tell_end = [&](const std::string& how) {
    const std::chrono::duration<double, std::milli> took = Clock::now() - begun;
    debug(context, fmt::format("{} {} after {:.1f} ms", command.name, how, took.count()));
  };
  try {
    const int exit_code = command.run(context, arguments);
    tell_end(fmt::format("ended with {}", exit_code));
    return exit_code;
  } catch (...) {
    tell_end("failed");
    throw;
  }
}

int dispatch(OciContext& context, const Arguments& words) {
  GlobalFlags flags;
  Parser parser("oci", "[flags] COMMAND …",
                "An OCI runtime: what engines such as podman and containerd call.");
  add_flags(parser, context, flags);
  Arguments rest = parser.parse_prefix(words);
  if (flags.wants_version) {
    fmt::print("{}", version_text());
    return 0;
  }
  if (rest.empty() || rest.front() == "help") {
    print_overview(parser);
    return rest.empty() ? kErrorExit : 0;
  }
  apply(flags, context);
  const OciCommand& command = find_command(rest.front());
  rest.erase(rest.begin());
  return run_logged(context, command, rest);
}

}  // namespace

void warn(const OciContext& context, const std::string& message) {
  log(context, "warning", message);
}

int run_oci(const Arguments& words) {
  OciContext context{.root = default_context().run + "/oci"};
  try {
    return dispatch(context, words);
  } catch (const HelpRequested& help) {
    fmt::print("{}", help.text);
    return 0;
  } catch (const UsageError& error) {
    report(context, Error(Errc::invalid, error.message).with_hint("lay-oci --help"));
  } catch (const Error& error) {
    report(context, error);
  } catch (const std::exception& error) {
    report(context, Error(Errc::io, error.what()));
  }
  return kErrorExit;
}

}  // namespace lay::cli
