#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <optional>

#include "base/text.h"
#include "command.h"
#include "containers/attached_end.h"
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

void start_detached(const Context& context, const runner::ContainerStore& containers,
                    runner::Container& container) {
  const auto layers = prepare(context, container);
  runner::run_detached(
      containers, container, [&] { layers->release(); }, print_note);
  layers->leave_to_other();
}

/// One that is just ending is waited for.
bool runs_supervised(const runner::Container& container) {
  return is_running(container) && !container.state().is_abandoned && runner::runs_on(container);
}

int start_attached(const Context& context, const runner::ContainerStore& containers,
                   const std::string& name) {
  runner::Container container = containers.find(name);
  runs_supervised(container);  // one that runs on is refused below
  const auto layers = prepare(context, container);
  const runner::AttachedEnd end = runner::run_attached(
      containers, container, [&] { layers->release(); }, print_trouble, print_note);
  layers->leave_to_other();
  return exit_code_of(end);
}

/// One that runs is content, as with docker and podman; one that nobody supervises is started anew.
void start_stopped(const Context& context, const runner::ContainerStore& containers,
                   runner::Container& container) {
  constexpr int kTries = 5;  // somebody else may start it and end it meanwhile
  for (int attempt = 1; !runs_supervised(container); ++attempt) {
    try {
      return start_detached(context, containers, container);
    } catch (const Error& error) {
      if (error.code() != Errc::busy || attempt == kTries || !is_running(container)) throw;
    }
  }
}

/// Whatever its state is now: one that just starts runs in a moment.
void refuse_auto_remove(const runner::Container& container) {
  if (!container.config().auto_remove) return;
  throw Error(Errc::unsupported, "it was made with --rm, and is gone once it has stopped")
      .with_hint("make it without --rm");
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
  const auto is_wanted = [](const runner::Container& container) { return !is_running(container); };
  if (!attach)
    return choice.for_each("start", containers, is_wanted,
                           [&](runner::Container& container, const std::string& name) {
                             start_stopped(context, containers, container);
                             fmt::print("{}\n", name);
                           });
  const std::vector<Chosen> chosen = choice.find(containers, is_wanted);
  if (chosen.size() != 1) throw UsageError{"--attach takes one container"};
  return with_context("start " + printable(chosen.front().name),
                      [&] { return start_attached(context, containers, chosen.front().key); });
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
  if (running) choice.take_all("--running");
  const auto is_wanted = [&](const runner::Container& container) {
    return !running || is_running(container);
  };
  return choice.for_each("restart", containers, is_wanted,
                         [&](runner::Container& container, const std::string& name) {
                           refuse_auto_remove(container);
                           runner::stop_container(containers, container, timeout);
                           start_stopped(context, containers, container);  // unless somebody else has
                           fmt::print("{}\n", name);
                         });
}

}  // namespace lay::cli
