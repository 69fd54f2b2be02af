#pragma once

#include <string>
#include <vector>

#include "flags/parser.h"
#include "runner/spec.h"

namespace lay::cli {

/// --volume, --mount and --tmpfs: what users put into the file system of a container.
struct MountFlags {
  std::vector<std::string> volumes;  ///< "host:container[:ro]"
  std::vector<std::string> mounts;   ///< "type=bind,src=host,dst=container,ro"
  std::vector<std::string> tmpfs;    ///< "path[:size=64m]"
  bool has_read_only_tmpfs = false;

  void add_to(Parser& parser);
  /// Adds them to the mounts of `spec`, whose root's being read-only is settled, folders before what lies in
  /// them. Throws invalid, also for two in one place, and unsupported, with hints.
  void apply(runner::Spec& spec) const;
};

/// "host:container[:ro|rw]" as a bind mount; throws invalid.
runner::Mount parse_volume(const std::string& text);
/// "type=bind|tmpfs,KEY=VALUE,…" with docker's and podman's keys; throws invalid, and unsupported for types
/// that lay does not have.
runner::Mount parse_mount(const std::string& text);
/// The flag of run that asks for `mount`: "volume" or "tmpfs", or "mount" where a path has a colon.
std::pair<std::string, std::string> mount_flag_of(const runner::Mount& mount);

}  // namespace lay::cli
