#include "base/text.h"
#include "command.h"
#include "containers/attached_end.h"
#include "flags/environment_flags.h"
#include "flags/options.h"
#include "output/messages.h"
#include "runner/lifecycle.h"

namespace lay::cli {

int command_exec(const Context& context, const Arguments& arguments) {
  runner::ExecRequest request;
  EnvironmentFlags environment;
  bool is_detached = false;
  Parser parser("exec", "[flags] CONTAINER COMMAND [ARG …]", "Runs a command inside a running container.");
  parser.add_flag("-d,--detach", is_detached,
                  "leave it running, without input (even with -i), its output thrown away");
  parser.add_flag("-i,--interactive", request.open_stdin, "pass stdin on");
  parser.add_flag("-t,--tty", request.terminal, "give it a terminal");
  environment.add_to(parser);
  parser.add_option("-w,--workdir", request.cwd, "folder the command starts in").type_name("PATH");
  parser.add_option("-u,--user", request.user, "user the command runs as").type_name("USER[:GROUP]");
  parser.add_option("--preserve-fds", request.preserved_fds, "descriptors from 3 on that the command keeps")
      .type_name("N");
  parser.add_flag("--privileged", request.privileged, "every capability, no seccomp");
  std::vector<std::string> words = parser.parse_prefix(arguments);
  require_root("exec");
  if (words.empty()) throw UsageError{"which container?"};
  const std::string name = words.front();
  if (request.cwd == "") request.cwd.reset();  // the container's own, as with podman
  request.args.assign(words.begin() + 1, words.end());
  if (request.args.empty()) throw UsageError{"which command?"};

  return with_context("exec " + printable(name), [&] {
    environment.put_into(request.env);
    request.on_note = print_note;
    const runner::ContainerStore containers = open_containers(context);
    const runner::Container container = containers.find(name);
    if (!is_detached) return exit_code_of(runner::exec_in(containers, container, request));
    runner::exec_detached(containers, container, request);
    return 0;
  });
}

}  // namespace lay::cli
