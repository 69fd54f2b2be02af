#include "lists/container_filter.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <regex>

#include "base/text.h"
#include "context.h"
#include "flags/parser.h"
#include "registry/reference.h"
#include "runner/lifecycle.h"
#include "runner/network.h"

namespace lay::cli {

namespace {

constexpr std::array<std::string_view, 8> kStatuses{"created",    "running", "paused",   "exited",
                                                    "restarting", "stopped", "removing", "dead"};

std::optional<Time> creation_of(const runner::ContainerStore& containers, const std::string& name) {
  if (name.empty()) return std::nullopt;
  return containers.find(name).config().created;
}

/// Somewhere in it, as docker has it; "^" and "$" stand for its ends.
bool matches(const std::string& text, const std::string& expression) {
  try {
    return std::regex_search(text, std::regex(expression, std::regex::extended));
  } catch (const std::regex_error&) {
    throw UsageError{fmt::format("--filter: '{}' is no regular expression", printable(expression))};
  }
}

/// podman's word for one that has ended is "stopped" too.
bool has_status(std::string_view status, const std::string& wanted) {
  if (std::ranges::find(kStatuses, wanted) == kStatuses.end())
    throw UsageError{fmt::format("--filter: there is no status '{}'", printable(wanted))};
  return status == (wanted == "stopped" ? "exited" : wanted);
}

bool has_exited_with(const runner::ContainerState& state, const std::string& wanted) {
  const auto code = parse_number(wanted);
  if (!code) throw UsageError{fmt::format("--filter: '{}' is no exit code", printable(wanted))};
  return state.status == runner::Status::exited && static_cast<std::uint64_t>(state.exit_code) == *code;
}

/// The name as the user of `run` wrote it or as it is stored, or the image's id or the start of it.
bool is_of_image(const runner::ContainerConfig& config, const std::string& image) {
  const std::string name = note_of(config, note::kImage);
  const std::string id = note_of(config, note::kImageId);
  const std::string hex = id.substr(id.find(':') + 1);
  constexpr std::size_t kLeastDigits = 4;
  const bool is_id = id == image || (image.size() >= kLeastDigits && hex.starts_with(image));
  const std::string tagged =
      image.find(':', image.rfind('/') + 1) == std::string::npos ? image + ":latest" : image;
  return is_id || name == image || name == tagged || name.ends_with("/" + tagged);
}

/// "80", "80/udp", "8000-8010/tcp": ports of the container that are published.
bool publishes(const runner::ContainerConfig& config, const std::string& wanted) {
  const std::size_t slash = wanted.find('/');
  const std::string ports = wanted.substr(0, slash);
  const std::string protocol = slash == std::string::npos ? "tcp" : wanted.substr(slash + 1);
  const std::size_t dash = ports.find('-');
  const auto first = parse_number(ports.substr(0, dash));
  const auto last = dash == std::string::npos ? first : parse_number(ports.substr(dash + 1));
  if (!first || !last || (protocol != "tcp" && protocol != "udp"))
    throw UsageError{fmt::format("--filter: '{}' is no port", printable(wanted))};
  const runner::Protocol kind = protocol == "tcp" ? runner::Protocol::tcp : runner::Protocol::udp;
  return std::ranges::any_of(config.network.ports, [&](const runner::PortMapping& port) {
    return port.protocol == kind && port.container_port >= *first && port.container_port <= *last;
  });
}

bool has_volume(const runner::ContainerConfig& config, const std::string& wanted) {
  return std::ranges::any_of(config.spec.mounts, [&](const runner::Mount& mount) {
    return mount.destination == wanted || (mount.type == "bind" && mount.source == wanted);
  });
}

}  // namespace

std::string_view shown_status(const runner::Container& container, const runner::ContainerState& state) {
  const bool is_running = state.status == runner::Status::running;
  return is_running && runner::is_paused(container) ? "paused" : runner::to_string(state.status);
}

std::string note_of(const runner::ContainerConfig& config, const char* key) {
  const auto note = config.notes.find(key);
  return note == config.notes.end() ? "" : note->second;
}

std::vector<std::string> mounts_of(const runner::ContainerConfig& config) {
  std::vector<std::string> sources;
  for (const runner::Mount& mount : config.spec.mounts)
    if (mount.type == "bind") sources.push_back(mount.source);
  return sources;
}

std::vector<std::string> networks_of(const runner::ContainerConfig& config) {
  switch (config.network.mode) {
    case runner::NetworkMode::none:
      return {"none"};
    case runner::NetworkMode::host:
      return {"host"};
    case runner::NetworkMode::container:
      return {"container:" + config.network.container};
    case runner::NetworkMode::path:
      return {"ns:" + config.network.path};
    case runner::NetworkMode::bridge:
      break;
  }
  std::vector<std::string> names;
  for (const runner::Endpoint& endpoint : runner::endpoints_of(config.network))
    names.push_back(runner::shown_name(endpoint));
  return names;
}

ContainerFilter::ContainerFilter(const runner::ContainerStore& containers,
                                 const std::vector<std::string>& texts)
    : filters_(texts, {"id", "name", "label", "status", "exited", "ancestor", "before", "since", "volume",
                       "network", "publish", "health"}),
      before_(creation_of(containers, filters_.last("before"))),
      since_(creation_of(containers, filters_.last("since"))) {}

bool ContainerFilter::fits_settings(const runner::ContainerConfig& config) const {
  const std::vector<std::string> networks = networks_of(config);
  return filters_.any("id", [&](const auto& value) { return config.id.starts_with(value); }) &&
         filters_.any("name", [&](const auto& value) { return matches(config.name, value); }) &&
         filters_.fit_labels(config.labels) &&
         filters_.any("ancestor", [&](const auto& value) { return is_of_image(config, value); }) &&
         filters_.any("volume", [&](const auto& value) { return has_volume(config, value); }) &&
         filters_.any("network",
                      [&](const auto& value) { return std::ranges::count(networks, value) > 0; }) &&
         filters_.any("publish", [&](const auto& value) { return publishes(config, value); }) &&
         (!before_ || config.created < *before_) && (!since_ || config.created > *since_);
}

bool ContainerFilter::fits(const runner::Container& container, const runner::ContainerState& state,
                           std::string_view status) const {
  return filters_.any("status", [&](const auto& value) { return has_status(status, value); }) &&
         filters_.any("exited", [&](const auto& value) { return has_exited_with(state, value); }) &&
         filters_.any("health", [&](const auto& value) { return value == "none"; }) &&  // lay makes no checks
         fits_settings(container.config());
}

}  // namespace lay::cli
