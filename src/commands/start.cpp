#include <fmt/format.h>

#include "base/text.h"
#include "command.h"
#include "each.h"
#include "options.h"
#include "runner/lifecycle.h"

namespace lay::cli {

int command_start(const Context& context, const Arguments& arguments) {
  std::vector<std::string> names;
  bool attach = false;
  const auto parser =
      make_parser("start", "[flags] CONTAINER …", "Starts stopped containers again, with what they changed.");
  parser->add_option("container", names, "names or ids")->required();
  parser->add_flag("-a,--attach", attach, "stay joined to its output; the exit code is the command's");
  parse(*parser, arguments);
  require_root("start");
  const runner::ContainerStore containers = open_containers(context);
  if (attach && names.size() == 1)
    return with_context("start " + printable(names.front()),
                        [&] { return runner::run_attached(containers, containers.find(names.front())); });
  if (attach) throw UsageError{"--attach takes one container"};
  return for_each_name("start", names, [&](const std::string& name) {
    runner::run_detached(containers, containers.find(name));
    fmt::print("{}\n", name);
  });
}

}  // namespace lay::cli
