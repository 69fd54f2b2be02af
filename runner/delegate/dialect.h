#pragma once

#include <string>
#include <vector>

#include "runner/network.h"
#include "runner/spec.h"

namespace lay::runner {

/// Where a container of another runtime gets its cgroups.
enum class GroupEntry {
  by_path,           ///< the runtime moves it into lay's, which linux.cgroupsPath names
  before_create,     ///< the runtime is told to leave cgroups alone, and is called from within lay's
  v2_before_create,  ///< it moves it into v1's by path, and is called from within v2's, which it does not see
};

enum class RuntimeFamily { runc, crun, runsc };

/// By the program's name: "crun", "runsc"; others are as runc is.
RuntimeFamily family_of(const std::string& program);

/// How a runtime is to be called, beside what all have in common with runc.
struct Dialect {
  std::vector<std::string> flags;  ///< in front of the user's own, which win
  GroupEntry entry = GroupEntry::by_path;
  bool mounts_cgroups = true;  ///< false: it has no place for them
  bool has_own_names = false;  ///< whatever UTS namespace is asked for: it wants to be told a host name
  /// Where v2's hierarchy is mounted beside v1's, when it must not see that; empty: nothing is hidden.
  std::string hidden = {};
  /// Capabilities that it takes for an error, and that would be nothing in it.
  std::vector<std::string> unknown_capabilities = {};
};

Dialect dialect_of(const std::string& program, NetworkMode network);

/// Takes from `process` what the runtime does not know.
void fit_process(const Dialect& dialect, Process& process);
/// The same of `spec`.
void fit_spec(const Dialect& dialect, Spec& spec);

}  // namespace lay::runner
