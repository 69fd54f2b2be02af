#include "containers/removal.h"

#include <chrono>
#include <optional>

#include "base/error.h"
#include "runner/lifecycle.h"

namespace lay::cli {

namespace {

constexpr int kForceTries = 100;

}  // namespace

void remove_container(const runner::ContainerStore& containers, const runner::Container& container,
                      const std::string& name, Force force) {
  for (int attempt = 0;; ++attempt) {
    if (force == Force::yes)
      runner::stop_container(container, std::chrono::seconds(0));
    else if (container.state().status == runner::Status::running)
      throw Error::make(Errc::busy, "it is running").with_hint("lay stop " + name + ", or lay rm -f " + name);
    try {
      return containers.remove(container);
    } catch (const Error& error) {
      // Its supervisor has removed it, unless that was killed
      if (container.config().auto_remove && error.code() == Errc::not_found) return;
      // Somebody has started it anew in between
      if (force == Force::no || error.code() != Errc::busy || attempt == kForceTries) throw;
    }
  }
}

void remove_named(const runner::ContainerStore& containers, const std::string& name) {
  std::optional<runner::Container> found;
  try {
    found.emplace(containers.find_even_damaged(name));
  } catch (const Error& error) {
    if (error.code() != Errc::not_found && error.code() != Errc::invalid) throw;
    return;
  }
  if (found->config().name == name) remove_container(containers, *found, name, Force::yes);
}

}  // namespace lay::cli
