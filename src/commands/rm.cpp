#include <fmt/format.h>

#include <chrono>
#include <optional>

#include "base/text.h"
#include "command.h"
#include "containers/container_choice.h"
#include "containers/removal.h"
#include "each.h"
#include "flags/options.h"
#include "layerstore/layer_mounts.h"
#include "runner/lifecycle.h"

namespace lay::cli {

namespace {

/// Of those that had no supervisor any more. They are removed, whatever becomes of that: the next one tries.
void tidy_mounts(const Context& context) {
  try {
    layerstore::LayerMounts(context.run).tidy();
  } catch (const Error&) {
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
  const auto all = [](const runner::Container&) { return true; };
  const auto remove = [&](const Chosen& chosen) {
    std::optional<runner::Container> container;
    try {
      container.emplace(force ? containers.find_even_damaged(chosen.key) : containers.find(chosen.key));
      if (seconds) runner::stop_container(containers, *container, std::chrono::seconds(*seconds));
      remove_container(containers, *container, chosen.name, force ? Force::yes : Force::no);
    } catch (const Error& error) {
      // Something of it may not be found, too
      const bool is_gone = error.code() == Errc::not_found && (!container || !container->is_there());
      if (!is_gone || !(force || choice.ignores_missing())) throw;
      return;
    }
    fmt::print("{}\n", chosen.name);
  };
  const int status = for_each_of("rm", choice.find(containers, all), &Chosen::name, remove);
  tidy_mounts(context);
  return status;
}

}  // namespace lay::cli
