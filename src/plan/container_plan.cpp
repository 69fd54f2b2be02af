#include "plan/container_plan.h"

#include <unistd.h>

#include <array>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "context.h"
#include "flags/options.h"
#include "runner/lifecycle.h"

namespace lay::cli {

namespace {

constexpr std::int64_t kDefaultPids = 2048;  // podman's default: a fork bomb stays inside
constexpr std::size_t kIdBytes = 32;

const std::string kDefaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::vector<std::string> plan_entrypoint(const layerstore::RunDefaults& image, const RunOptions& options) {
  if (!options.entrypoint) return image.entrypoint;
  if (options.entrypoint->empty()) return {};
  if (options.entrypoint->front() == '[') return parse_command_line(*options.entrypoint);
  return {*options.entrypoint};
}

/// The entrypoint and what it gets; how many words the first has is noted.
void plan_arguments(const layerstore::RunDefaults& image, const RunOptions& options,
                    runner::ContainerConfig& config) {
  std::vector<std::string> arguments = plan_entrypoint(image, options);
  if (!arguments.empty()) config.notes[note::kEntrypointWords] = std::to_string(arguments.size());
  const bool takes_image_cmd = options.command.empty() && !options.entrypoint;
  const std::vector<std::string>& command = takes_image_cmd ? image.cmd : options.command;
  arguments.insert(arguments.end(), command.begin(), command.end());
  if (arguments.empty())
    throw Error(Errc::invalid, "no command: the image has none and none was given")
        .with_hint("lay run IMAGE COMMAND, or commit the image with --cmd");
  config.spec.process.args = std::move(arguments);
}

/// What inspect shows beside the published ones: those of the image and of --expose.
void note_exposed_ports(const layerstore::RunDefaults& image, const RunOptions& options,
                        runner::ContainerConfig& config) {
  std::vector<std::string> ports(image.exposed_ports.begin(), image.exposed_ports.end());
  for (const std::string& text : options.network_flags.expose)
    for (const runner::PortMapping& port : runner::parse_exposed_ports(text))
      ports.push_back(runner::port_name(port.container_port, port.protocol));
  if (!ports.empty()) config.notes[note::kExposedPorts] = join(ports, ",");
}

std::vector<std::string> plan_environment(const layerstore::RunDefaults& image, const RunOptions& options,
                                          const std::string& hostname) {
  std::vector<std::string> env{kDefaultPath, "HOSTNAME=" + hostname, "container=lay"};
  if (options.terminal) env.emplace_back("TERM=xterm");
  options.base_environment.put_beneath(env);
  for (const std::string& entry : image.env)
    if (entry.find('=') != std::string::npos) set_environment(env, entry);
  options.base_environment.take_from(env);
  options.environment.put_into(env);
  return env;
}

std::string host_name() {
  std::array<char, 65> name{};
  ::gethostname(name.data(), name.size() - 1);
  return name.data();
}

void check_hostname(const std::string& name) {
  static constexpr const char* kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";
  if (name.size() <= 63 && name.find_first_not_of(kAllowed) == std::string::npos && !name.starts_with("-"))
    return;
  throw Error::make(Errc::invalid, "--hostname '{}' is no host name", printable(name))
      .with_hint("up to 63 letters, digits, '-' and '.'");
}

void plan_network(const layerstore::RunDefaults& image, const RunOptions& options,
                  runner::ContainerConfig& config) {
  config.network = runner::parse_networks(options.networks);
  for (const std::string& text : options.ports)
    for (runner::PortMapping& port : runner::parse_port_mappings(text))
      config.network.ports.push_back(std::move(port));
  options.network_flags.apply(config.network, image.exposed_ports);
  if (!config.network.ports.empty() && config.network.mode != runner::NetworkMode::bridge)
    throw Error::make(Errc::invalid, "-p needs the bridge network, and --network is '{}'",
                      printable(join(options.networks, ",")))
        .with_hint("--network bridge");
  if (config.network.mode == runner::NetworkMode::host)
    std::erase_if(config.spec.linux_.namespaces, [](const runner::Namespace& entry) {
      return entry.type == runner::NamespaceType::network;
    });
}

void plan_hostname(const RunOptions& options, runner::ContainerConfig& config) {
  runner::Spec& spec = config.spec;
  const bool has_own_name = runner::has_own_namespace(spec, runner::NamespaceType::uts);
  const bool is_host = config.network.mode == runner::NetworkMode::host || !has_own_name;
  spec.hostname = is_host ? host_name() : config.id.substr(0, 12);
  if (options.hostname.empty()) return;
  if (!has_own_name || config.joined.contains(runner::NamespaceType::uts))
    throw Error(Errc::invalid, "--hostname needs a UTS namespace of the container's own")
        .with_hint("leave out --hostname or --uts");
  check_hostname(options.hostname);
  spec.hostname = options.hostname;
}

/// What the image asks for must be one as well: else a stop would only kill.
void check_stop_signal(const std::string& signal) {
  if (!signal.empty()) with_context("stop signal", [&] { return runner::parse_signal(signal); });
}

}  // namespace

runner::ContainerConfig plan_container(const layerstore::ImageConfig& image, const RunOptions& options) {
  runner::ContainerConfig config;
  config.id = sys::random_hex(kIdBytes);
  config.name = options.name;
  config.created = std::chrono::system_clock::now();
  config.open_stdin = options.interactive;
  config.auto_remove = options.auto_remove;
  config.stop_signal = options.stop_signal.value_or(image.run.stop_signal);
  check_stop_signal(config.stop_signal);
  config.stop_timeout = options.stop_timeout.value_or(config.stop_timeout);
  config.labels = image.run.labels;
  options.notes.put_labels(config.labels);

  runner::Spec& spec = config.spec;
  spec = runner::default_spec();
  config.log = options.log.parse();
  plan_network(image.run, options, config);
  options.namespaces.apply(config);
  note_exposed_ports(image.run, options, config);
  plan_hostname(options, config);

  plan_arguments(image.run, options, config);
  spec.process.env = plan_environment(image.run, options, spec.hostname);
  spec.process.terminal = options.terminal;
  spec.process.user.username = options.user.value_or(image.run.user);
  spec.process.cwd = options.workdir.value_or(image.run.working_dir);
  if (spec.process.cwd.empty()) spec.process.cwd.push_back('/');
  if (spec.process.cwd.front() != '/')
    throw Error::make(Errc::invalid, "working folder '{}' is not absolute", printable(spec.process.cwd))
        .with_hint("-w /path");
  options.isolation.apply(spec);
  options.mounts.apply(spec);
  options.surroundings.apply(spec);
  options.notes.put_annotations(spec.annotations);
  spec.linux_.resources.pids_limit = kDefaultPids;
  options.resources.apply(spec.linux_.resources);
  options.placement.apply(config);
  config.runtime = options.runtime.parse();
  options.session.apply(config);
  return config;
}

}  // namespace lay::cli
