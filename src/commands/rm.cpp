#include <fmt/format.h>

#include <chrono>
#include <optional>
#include <utility>

#include "base/text.h"
#include "command.h"
#include "containers/container_choice.h"
#include "containers/removal.h"
#include "each.h"
#include "flags/options.h"
#include "runner/lifecycle.h"

namespace lay::cli {

namespace {

/// Not whether another has its name by now.
bool is_there(const runner::ContainerStore& containers, const runner::Container& container) {
  try {
    containers.find_even_damaged(container.config().id);
    return true;
  } catch (const Error& error) {
    if (error.code() != Errc::not_found) throw;
    return false;
  }
}

}  // namespace

int command_rm(const Context& context, const Arguments& arguments) {
  ContainerChoice choice;
  std::optional<unsigned> seconds;
  bool force = false;
  bool volumes = false;
  Parser parser("rm", "[flags] CONTAINER …", "Removes containers with everything they changed.");
  choice.add_to(parser, "all containers", {.all = "-a,--all", .filter = "--filter"});
  choice.add_ignore_to(parser);
  parser.add_flag("-f,--force", force, "kill it when it runs; not there is no error");
  parser
      .add_option("-t,--time", seconds,
                  "with --force, which sends the stop signal first: seconds until SIGKILL")
      .type_name("SECONDS");
  parser.add_flag("-v,--volumes", volumes, "its nameless volumes too, of which there are none");
  parser.parse(arguments);
  require_root("rm");
  if (seconds && !force) throw UsageError{"--time goes with --force"};
  const runner::ContainerStore containers = open_containers(context);
  const auto remove = [&](const std::string& name) {
    std::optional<runner::Container> container;
    try {
      container.emplace(force ? containers.find_even_damaged(name) : containers.find(name));
      if (seconds) runner::stop_container(*container, std::chrono::seconds(*seconds));
      remove_container(containers, *container, name, force ? Force::yes : Force::no);
    } catch (const Error& error) {
      // Something of it may not be found, too
      if (!force || error.code() != Errc::not_found || (container && is_there(containers, *container))) throw;
      return;
    }
    fmt::print("{}\n", name);
  };
  return for_each_name("rm", choice.find(containers, [](const auto&) { return true; }), remove,
                       choice.ignores_missing() ? Missing::is_ignored : Missing::is_error);
}

}  // namespace lay::cli
