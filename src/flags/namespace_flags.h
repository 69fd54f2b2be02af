#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "flags/parser.h"
#include "runner/container.h"

namespace lay::cli {

/// --userns, --pid, --ipc, --uts, --cgroupns, --time of run: which namespaces a container has of its own,
/// shares with the host, or joins. The network has its flags elsewhere.
struct NamespaceFlags {
  std::string userns;
  std::string pid;
  std::string ipc;
  std::string uts;
  std::string cgroupns;
  std::string time;
  std::vector<std::string> uid_maps;
  std::vector<std::string> gid_maps;

  void add_to(Parser& parser);
  /// Puts the flags over the defaults in `config`. In config.joined stand names as they were written. Throws
  /// invalid and unsupported, with hints.
  void apply(runner::ContainerConfig& config) const;
};

/// "0:100000:65536": inside, host, how many. `flag` is for the message.
runner::IdMapping parse_id_mapping(const std::string& text, std::string_view flag);

/// "+3600s", "-90", "1.5h": seconds without a unit; s, m, h and d are known.
runner::TimeOffset parse_time_offset(const std::string& text);

/// Replaces the names in config.joined by ids, and takes over the host name of a container whose UTS
/// namespace is joined. Throws not_found.
void resolve_joined(const runner::ContainerStore& containers, runner::ContainerConfig& config);

}  // namespace lay::cli
