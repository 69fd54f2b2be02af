#include <fcntl.h>

#include <optional>

#include "base/error.h"
#include "base/json.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "flags/options.h"
#include "oci/oci.h"

namespace lay::cli {

namespace {

/// What the command line says of the process, where no file does.
struct ExecFlags {
  std::string process_file;
  std::optional<std::string> cwd;
  std::optional<std::string> user;
  std::vector<std::string> env;
  std::vector<std::string> capabilities;
  std::vector<std::string> groups;
  std::string apparmor_profile;
  std::string selinux_label;
  bool terminal = false;
  bool no_new_privileges = false;
  std::vector<std::string> args;
};

std::uint32_t parse_id(const std::string& text) {
  const auto id = parse_number(text);
  if (!id || *id >= UINT32_MAX)  // which is -1, "unchanged" to the kernel
    throw Error::make(Errc::invalid, "'{}' is no id of a user or group", printable(text))
        .with_hint("--user UID[:GID], in numbers");
  return static_cast<std::uint32_t>(*id);
}

void set_user(runner::User& user, const std::string& text) {
  const std::size_t colon = text.find(':');
  user.uid = parse_id(text.substr(0, colon));
  if (colon != std::string::npos) user.gid = parse_id(text.substr(colon + 1));
}

runner::Process put_over(runner::Process process, const ExecFlags& flags) {
  process.args = flags.args;
  process.terminal = flags.terminal;
  if (flags.cwd) process.cwd = *flags.cwd;
  if (flags.user) set_user(process.user, *flags.user);
  if (!flags.groups.empty()) process.user.additional_gids.clear();
  for (const std::string& group : flags.groups) process.user.additional_gids.push_back(parse_id(group));
  process.env.insert(process.env.end(), flags.env.begin(), flags.env.end());
  if (!flags.apparmor_profile.empty()) process.apparmor_profile = flags.apparmor_profile;
  if (!flags.selinux_label.empty()) process.selinux_label = flags.selinux_label;
  if (flags.no_new_privileges) process.no_new_privileges = true;
  for (auto* set :
       {&process.capabilities.bounding, &process.capabilities.effective, &process.capabilities.permitted})
    set->insert(set->end(), flags.capabilities.begin(), flags.capabilities.end());
  return process;
}

runner::Process read_process(const std::string& file) {
  return with_context(printable(file), [&] {
    const std::string text = sys::read_all(sys::open_at(sys::cwd(), file, O_RDONLY), kMaxJsonBytes);
    return runner::parse_process(runner::parse_oci_json(text, "the process"));
  });
}

void add_flags(Parser& parser, ExecFlags& flags) {
  parser.add_option("-p,--process", flags.process_file, "process as in config.json, instead of these flags")
      .type_name("FILE");
  parser.add_option("--cwd", flags.cwd, "folder the command starts in").type_name("DIR");
  parser.add_option("-u,--user", flags.user, "user the command runs as").type_name("UID[:GID]");
  parser.add_list("-e,--env", flags.env, "environment variable", "NAME=VALUE");
  parser.add_list("-c,--cap", flags.capabilities, "capability to add", "CAP_NAME");
  parser.add_list("-g,--additional-gids", flags.groups, "supplementary group", "GID");
  parser.add_option("--apparmor", flags.apparmor_profile, "AppArmor profile that confines it")
      .type_name("NAME");
  parser.add_option("--process-label", flags.selinux_label, "SELinux label that it has").type_name("LABEL");
  parser.add_flag("-t,--tty", flags.terminal, "give it a terminal");
  parser.add_flag("--no-new-privs", flags.no_new_privileges, "it gains no rights by executing a file");
}

}  // namespace

int oci_command_exec(const OciContext& context, const Arguments& arguments) {
  ExecFlags flags;
  runner::OciExecRequest request;
  bool is_detached = false;
  Parser parser("oci exec", "[flags] ID COMMAND [ARG …]", "Runs a command inside a container.");
  add_flags(parser, flags);
  parser.add_flag("-d,--detach", is_detached, "return when it is executed");
  parser.add_option("--pid-file", request.pid_file, "gets the number of the process").type_name("FILE");
  parser.add_option("--console-socket", request.console_socket, "unix socket that gets the terminal")
      .type_name("PATH");
  parser.add_option("--cgroup", request.cgroup, "a group beneath the container's own").type_name("PATH");
  parser.add_option("--preserve-fds", request.preserved_fds, "descriptors from 3 on that the command keeps")
      .type_name("N");
  parser.add_flag("--ignore-paused", request.may_be_paused,
                  "in a paused container, too: it runs when that is resumed");
  flags.args = parser.parse_prefix(arguments);
  require_root("oci");
  if (flags.args.empty()) throw UsageError{"which container?"};
  request.warn = [&](const std::string& warning) { warn(context, warning); };
  request.id = flags.args.front();
  flags.args.erase(flags.args.begin());
  request.process = [&](const runner::Process& own) {
    if (!flags.process_file.empty()) {
      runner::Process process = read_process(flags.process_file);
      if (flags.terminal) process.terminal = true;
      return process;
    }
    return put_over(own, flags);
  };
  if (flags.process_file.empty() && flags.args.empty()) throw UsageError{"which command?"};
  if (!is_detached) return runner::oci_exec(context.store(), request);
  runner::oci_exec_detached(context.store(), request);
  return 0;
}

}  // namespace lay::cli
