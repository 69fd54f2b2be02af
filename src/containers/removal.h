#pragma once

#include <string>
#include <vector>

#include "runner/container.h"

/// What rm, rmi and flags of run take away.
namespace lay::cli {

enum class Force { no, yes };

/// Removes one; a running one only by force, which kills it, and also one that just starts or whose
/// supervisor still clears up. `name` is what the user called it.
void remove_container(const runner::ContainerStore& containers, const runner::Container& container,
                      const std::string& name, Force force);

/// --replace: kills and removes the container of exactly the new one's name, if there is one, and makes the
/// new one. Throws invalid, before anything is removed, when that would join namespaces of the old one.
runner::Container create_in_place(const runner::ContainerStore& containers,
                                  const runner::ContainerConfig& config);

}  // namespace lay::cli
