#include <cstdlib>

#include "base/text.h"
#include "command.h"
#include "options.h"
#include "runner/lifecycle.h"

namespace lay::cli {

int command_exec(const Context& context, const Arguments& arguments) {
  runner::ExecRequest request;
  const auto parser =
      make_parser("exec", "[flags] CONTAINER COMMAND [ARG …]", "Runs a command inside a running container.");
  parser->add_flag("-i,--interactive", request.open_stdin, "pass stdin on");
  parser->add_flag("-t,--tty", request.terminal, "give it a terminal");
  add_list(*parser, "-e,--env", request.env, "environment variable", "NAME=VALUE");
  parser->add_option("-w,--workdir", request.cwd, "folder the command starts in")->type_name("PATH");
  parser->add_option("-u,--user", request.user, "user the command runs as")->type_name("USER[:GROUP]");
  parser->add_flag("--privileged", request.privileged, "every capability, no seccomp");
  std::vector<std::string> words = parse_prefix(*parser, arguments);
  require_root("exec");
  if (words.empty()) throw UsageError{"which container?"};
  const std::string name = words.front();
  request.args.assign(words.begin() + 1, words.end());
  if (request.args.empty()) throw UsageError{"which command?"};
  std::vector<std::string> env;
  for (const std::string& setting : request.env) set_environment(env, setting);
  request.env = env;

  return with_context("exec " + printable(name), [&] {
    const runner::ContainerStore containers = open_containers(context);
    return runner::exec_in(containers, containers.find(name), request);
  });
}

}  // namespace lay::cli
