#include <fmt/format.h>

#include "command.h"
#include "each.h"
#include "flags/options.h"
#include "flags/rdt_flags.h"
#include "flags/resource_flags.h"
#include "runner/lifecycle.h"

namespace lay::cli {

int command_update(const Context& context, const Arguments& arguments) {
  std::vector<std::string> names;
  ResourceFlags flags;
  RdtFlags rdt;
  Parser parser("update", "[flags] CONTAINER …", "Changes the limits of containers, at once where they run.");
  parser.add_option("container", names, "names or ids").required();
  flags.add_to(parser);
  rdt.add_to(parser);
  parser.parse(arguments);
  require_root("update");
  const runner::ContainerStore containers = open_containers(context);
  return for_each_name("update", names, [&](const std::string& name) {
    runner::update_container(containers, name, [&](runner::Linux& limits) {
      flags.apply(limits.resources);
      rdt.apply(limits.intel_rdt);
      return rdt.are_given() ? runner::Schemata::set : runner::Schemata::leave;
    });
    fmt::print("{}\n", name);
  });
}

}  // namespace lay::cli
