#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <optional>

#include "base/text.h"
#include "command.h"
#include "containers/container_choice.h"
#include "each.h"
#include "flags/options.h"
#include "output/messages.h"
#include "plan/container_layers.h"
#include "runner/lifecycle.h"

namespace lay::cli {

namespace {

/// Mounts what the container stands on: after a reboot of the machine nothing of it is.
std::unique_ptr<ContainerLayers> prepare(const Context& context, runner::Container& container) {
  const layerstore::Store store = open_store(context);
  const FileLock lock = store.share();
  auto layers = std::make_unique<ContainerLayers>(context, store, image_of(container, store));
  container.use_lowers(layers->paths());
  return layers;
}

int start_attached(const Context& context, const runner::ContainerStore& containers,
                   const std::string& name) {
  runner::Container container = containers.find(name);
  const auto layers = prepare(context, container);
  const int exit_code = runner::run_attached(
      containers, container, [&] { layers->release(); }, print_trouble, print_note);
  layers->leave_to_other();
  return exit_code;
}

void start_detached(const Context& context, const runner::ContainerStore& containers,
                    const std::string& name) {
  runner::Container container = containers.find(name);
  const auto layers = prepare(context, container);
  runner::run_detached(
      containers, container, [&] { layers->release(); }, print_note);
  layers->leave_to_other();
}

std::vector<std::string> running_containers(const runner::ContainerStore& containers) {
  std::vector<std::string> names;
  for (const runner::Container& container : containers.list())
    if (is_running(container)) names.push_back(container.config().name);
  return names;
}

}  // namespace

int command_start(const Context& context, const Arguments& arguments) {
  ContainerChoice choice;
  bool attach = false;
  bool interactive = false;
  Parser parser("start", "[flags] CONTAINER …", "Starts stopped containers again, with what they changed.");
  choice.add_to(parser, "all that do not run", {.all = "--all", .filter = "-f,--filter"});
  parser.add_flag("-i,--interactive", interactive,
                  "as --attach; standard input is the container's since run -i");
  parser.add_flag("-a,--attach", attach, "stay joined to its output; the exit code is the command's");
  parser.parse(arguments);
  attach = attach || interactive;
  require_root("start");
  const runner::ContainerStore containers = open_containers(context);
  const std::vector<std::string> names =
      choice.find(containers, [](const auto& container) { return !is_running(container); });
  if (attach && names.size() == 1)
    return with_context("start " + printable(names.front()),
                        [&] { return start_attached(context, containers, names.front()); });
  if (attach) throw UsageError{"--attach takes one container"};
  return for_each_name("start", names, [&](const std::string& name) {
    start_detached(context, containers, name);
    fmt::print("{}\n", name);
  });
}

int command_restart(const Context& context, const Arguments& arguments) {
  ContainerChoice choice;
  std::optional<unsigned> seconds;
  bool running = false;
  Parser parser("restart", "[flags] CONTAINER …",
                "Stops containers and starts them again; one that does not run is started.");
  choice.add_to(parser, "all containers");
  parser.add_flag("--running", running, "all that run");
  parser.add_option("-t,--time", seconds, "seconds until SIGKILL (the container's own: 10)")
      .type_name("SECONDS");
  parser.parse(arguments);
  require_root("restart");
  const runner::ContainerStore containers = open_containers(context);
  const auto timeout = seconds ? std::optional(std::chrono::seconds(*seconds)) : std::nullopt;
  const std::vector<std::string> names =
      running ? running_containers(containers) : choice.find(containers, [](const auto&) { return true; });
  return for_each_name("restart", names, [&](const std::string& name) {
    const runner::Container container = containers.find(name);
    if (container.config().auto_remove && is_running(container))
      throw Error(Errc::unsupported, "it was made with --rm, and is gone once it has stopped")
          .with_hint("make it without --rm");
    runner::stop_container(container, timeout);
    start_detached(context, containers, name);
    fmt::print("{}\n", name);
  });
}

}  // namespace lay::cli
