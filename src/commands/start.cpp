#include <fmt/format.h>

#include <memory>

#include "base/text.h"
#include "command.h"
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

}  // namespace

int command_start(const Context& context, const Arguments& arguments) {
  std::vector<std::string> names;
  bool attach = false;
  bool interactive = false;
  Parser parser("start", "[flags] CONTAINER …", "Starts stopped containers again, with what they changed.");
  parser.add_option("container", names, "names or ids").required();
  parser.add_flag("-i,--interactive", interactive,
                  "as --attach; standard input is the container's since run -i");
  parser.add_flag("-a,--attach", attach, "stay joined to its output; the exit code is the command's");
  parser.parse(arguments);
  attach = attach || interactive;
  require_root("start");
  const runner::ContainerStore containers = open_containers(context);
  if (attach && names.size() == 1)
    return with_context("start " + printable(names.front()),
                        [&] { return start_attached(context, containers, names.front()); });
  if (attach) throw UsageError{"--attach takes one container"};
  return for_each_name("start", names, [&](const std::string& name) {
    start_detached(context, containers, name);
    fmt::print("{}\n", name);
  });
}

}  // namespace lay::cli
