#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lists/filters.h"
#include "runner/container.h"

namespace lay::cli {

/// "--filter" of ps, as docker and podman have it: id, name (an expression), label, status, exited, ancestor,
/// before, since, volume, network, publish, health.
class ContainerFilter {
 public:
  /// Throws UsageError; not_found for a container that "before=" or "since=" names.
  ContainerFilter(const runner::ContainerStore& containers, const std::vector<std::string>& texts);

  bool is_empty() const { return filters_.is_empty(); }
  /// Whether it asks for containers that do not run, which a list then has too.
  bool wants_stopped() const { return filters_.has("status") || filters_.has("exited"); }
  /// `status`: shown_status() of the container.
  bool fits(const runner::Container& container, const runner::ContainerState& state,
            std::string_view status) const;

 private:
  bool fits_settings(const runner::ContainerConfig& config) const;

  Filters filters_;
  std::optional<Time> before_;
  std::optional<Time> since_;
};

/// docker's word for what state.json has, where a container that stands still is running too: "created",
/// "running", "paused", "exited".
std::string_view shown_status(const runner::Container& container, const runner::ContainerState& state);
/// What lay has noted of it under one of the keys in note:: (context.h); empty without that.
std::string note_of(const runner::ContainerConfig& config, const char* key);
/// The folders and files of the host that are mounted into it.
std::vector<std::string> mounts_of(const runner::ContainerConfig& config);
/// "bridge", "none", "host" or the names of networks that users made.
std::vector<std::string> networks_of(const runner::ContainerConfig& config);

}  // namespace lay::cli
