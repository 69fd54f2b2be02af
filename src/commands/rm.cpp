#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/file_limit.h"
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

/// A container that is to go.
struct Leaving {
  Chosen chosen;
  std::optional<runner::Container> container;  ///< empty until it is found
  std::optional<runner::Stopping> stopping;    ///< one that has been asked to end
};

/// What keeps it from being found or asked is left for its removal to tell.
void try_ask(const runner::ContainerStore& containers, Leaving& leaving, std::chrono::seconds timeout) {
  try {
    leaving.container.emplace(containers.find_even_damaged(leaving.chosen.key));
    if (is_running(*leaving.container)) leaving.stopping.emplace(containers, *leaving.container, timeout);
  } catch (const Error&) {
  }
  if (!leaving.stopping) leaving.container.reset();
}

/// Where they are given time, all are asked to end before any is waited for.
std::vector<std::unique_ptr<Leaving>> take_leave(const runner::ContainerStore& containers,
                                                 std::vector<Chosen> chosen,
                                                 std::optional<std::chrono::seconds> timeout) {
  std::vector<std::unique_ptr<Leaving>> all;  // which stay where they are
  for (Chosen& one : chosen)
    all.push_back(std::make_unique<Leaving>(Leaving{std::move(one), std::nullopt, std::nullopt}));
  if (!timeout) return all;
  raise_file_limit();
  for (const std::unique_ptr<Leaving>& one : all) try_ask(containers, *one, *timeout);
  return all;
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
  const auto timeout = seconds ? std::optional(std::chrono::seconds(*seconds)) : std::nullopt;
  const auto leaving = take_leave(containers, choice.find(containers, all), timeout);
  const auto remove = [&](const std::unique_ptr<Leaving>& one) {
    auto& [chosen, container, stopping] = *one;
    try {
      if (!container)
        container.emplace(force ? containers.find_even_damaged(chosen.key) : containers.find(chosen.key));
      if (timeout && !stopping) stopping.emplace(containers, *container, timeout);
      if (stopping) stopping->finish();
      remove_container(containers, *container, chosen.name, force ? Force::yes : Force::no);
    } catch (const Error& error) {
      // Something of it may not be found, too
      const bool is_gone = error.code() == Errc::not_found && (!container || !container->is_there());
      if (!is_gone || !(force || choice.ignores_missing())) throw;
      return;
    }
    fmt::print("{}\n", chosen.name);
  };
  const auto name_of = [](const std::unique_ptr<Leaving>& one) { return one->chosen.name; };
  const int status = for_each_of("rm", leaving, name_of, remove);
  tidy_mounts(context);
  return status;
}

}  // namespace lay::cli
