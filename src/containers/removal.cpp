#include "containers/removal.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/error.h"
#include "runner/lifecycle.h"

namespace lay::cli {

namespace {

constexpr int kForceTries = 100;
constexpr int kReplaceTries = 20;

/// The container of exactly that name; a damaged one, too.
std::optional<runner::Container> find_named(const runner::ContainerStore& containers,
                                            const std::string& name) {
  try {
    runner::Container found = containers.find_even_damaged(name);
    if (found.config().name == name) return found;
  } catch (const Error& error) {
    if (error.code() != Errc::not_found && error.code() != Errc::invalid) throw;
  }
  return std::nullopt;
}

bool joins(const runner::ContainerConfig& config, const std::string& id) {
  return (config.network.mode == runner::NetworkMode::container && config.network.container == id) ||
         std::ranges::any_of(config.joined, [&](const auto& joined) { return joined.second == id; });
}

void remove_named(const runner::ContainerStore& containers, const runner::ContainerConfig& config) {
  const auto found = find_named(containers, config.name);
  if (!found) return;
  if (joins(config, found->config().id))
    throw Error::make(Errc::invalid, "container '{}' is to be replaced, and its namespaces are to be joined",
                      config.name)
        .with_hint("leave out --replace and give the new one another --name");
  try {
    remove_container(containers, *found, config.name, Force::yes);
  } catch (const Error& error) {
    // Somebody else has removed it meanwhile
    if (error.code() != Errc::not_found || found->is_there()) throw;
  }
}

}  // namespace

void remove_container(const runner::ContainerStore& containers, const runner::Container& container,
                      const std::string& name, Force force) {
  for (int attempt = 0;; ++attempt) {
    if (force == Force::yes)
      runner::stop_container(containers, container, std::chrono::seconds(0));
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

runner::Container create_in_place(const runner::ContainerStore& containers,
                                  const runner::ContainerConfig& config) {
  for (int attempt = 1;; ++attempt) {
    remove_named(containers, config);
    try {
      return containers.create(config);
    } catch (const Error& error) {
      // Somebody else was quicker to take the place
      if (error.code() != Errc::busy || attempt == kReplaceTries) throw;
    }
  }
}

}  // namespace lay::cli
