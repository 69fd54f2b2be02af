#include <fmt/format.h>

#include "command.h"
#include "each.h"
#include "flags/options.h"
#include "runner/lifecycle.h"

namespace lay::cli {

namespace {

using Change = void (*)(const runner::Container& container);

int change_each(const Context& context, const Arguments& arguments, const char* command, const char* about,
                Change change) {
  std::vector<std::string> names;
  Parser parser(command, "CONTAINER …", about);
  parser.add_option("container", names, "names or ids").required();
  parser.parse(arguments);
  require_root(command);
  const runner::ContainerStore containers = open_containers(context);
  return for_each_name(command, names, [&](const std::string& name) {
    change(containers.find(name));
    fmt::print("{}\n", name);
  });
}

}  // namespace

int command_pause(const Context& context, const Arguments& arguments) {
  return change_each(context, arguments, "pause", "Lets every process of containers stand still.",
                     &runner::pause_container);
}

int command_unpause(const Context& context, const Arguments& arguments) {
  return change_each(context, arguments, "unpause", "Lets paused containers go on.",
                     &runner::unpause_container);
}

}  // namespace lay::cli
