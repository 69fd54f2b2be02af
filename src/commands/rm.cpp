#include <fmt/format.h>

#include <chrono>
#include <optional>
#include <utility>

#include "base/text.h"
#include "command.h"
#include "each.h"
#include "flags/options.h"
#include "runner/lifecycle.h"

namespace lay::cli {

namespace {

constexpr int kForceTries = 100;

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

/// Removes one; a running one only by force, which kills it, and also one that just starts or whose
/// supervisor still clears up.
void remove_one(const runner::ContainerStore& containers, const runner::Container& container,
                const std::string& name, bool force) {
  for (int attempt = 0;; ++attempt) {
    if (force)
      runner::stop_container(container, std::chrono::seconds(0));
    else if (container.state().status == runner::Status::running)
      throw Error::make(Errc::busy, "it is running").with_hint("lay stop " + name + ", or lay rm -f " + name);
    try {
      return containers.remove(container);
    } catch (const Error& error) {
      // Its supervisor has removed it, unless that was killed
      if (container.config().auto_remove && error.code() == Errc::not_found) return;
      // Somebody has started it anew in between
      if (!force || error.code() != Errc::busy || attempt == kForceTries) throw;
    }
  }
}

}  // namespace

int command_rm(const Context& context, const Arguments& arguments) {
  std::vector<std::string> names;
  bool force = false;
  bool volumes = false;
  bool all = false;
  Parser parser("rm", "[flags] CONTAINER …", "Removes containers with everything they changed.");
  parser.add_option("container", names, "names or ids");
  parser.add_flag("-a,--all", all, "all containers");
  parser.add_flag("-f,--force", force, "kill it when it runs; not there is no error");
  parser.add_flag("-v,--volumes", volumes, "its nameless volumes too, of which there are none");
  parser.parse(arguments);
  require_root("rm");
  const runner::ContainerStore containers = open_containers(context);
  names = chosen_containers(containers, std::move(names), all, [](const auto&) { return true; });
  return for_each_name("rm", names, [&](const std::string& name) {
    std::optional<runner::Container> container;
    try {
      container.emplace(force ? containers.find_even_damaged(name) : containers.find(name));
      remove_one(containers, *container, name, force);
    } catch (const Error& error) {
      // Something of it may not be found, too
      if (!force || error.code() != Errc::not_found || (container && is_there(containers, *container))) throw;
      return;
    }
    fmt::print("{}\n", name);
  });
}

}  // namespace lay::cli
