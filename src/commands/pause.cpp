#include <fmt/format.h>

#include "command.h"
#include "containers/container_choice.h"
#include "each.h"
#include "flags/options.h"
#include "runner/lifecycle.h"

namespace lay::cli {

namespace {

using Change = void (*)(const runner::Container& container);
using Wanted = bool (*)(const runner::Container& container);

bool is_going_on(const runner::Container& container) {
  return is_running(container) && !runner::is_paused(container);
}

bool stands_still(const runner::Container& container) {
  return is_running(container) && runner::is_paused(container);
}

int change_each(const Context& context, const Arguments& arguments, const char* command, const char* about,
                Change change, Wanted is_wanted, const char* about_all) {
  ContainerChoice choice;
  Parser parser(command, "[flags] CONTAINER …", about);
  choice.add_to(parser, about_all);
  parser.parse(arguments);
  require_root(command);
  const runner::ContainerStore containers = open_containers(context);
  return choice.for_each(command, containers, is_wanted,
                         [&](const runner::Container& container, const std::string& name) {
                           change(container);
                           fmt::print("{}\n", name);
                         });
}

}  // namespace

int command_pause(const Context& context, const Arguments& arguments) {
  return change_each(context, arguments, "pause", "Lets every process of containers stand still.",
                     &runner::pause_container, is_going_on, "all that run");
}

int command_unpause(const Context& context, const Arguments& arguments) {
  return change_each(context, arguments, "unpause", "Lets paused containers go on.",
                     &runner::unpause_container, stands_still, "all that are paused");
}

}  // namespace lay::cli
