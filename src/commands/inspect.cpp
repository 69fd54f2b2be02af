#include <fmt/format.h>

#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "command.h"
#include "flags/options.h"
#include "flags/surroundings_flags.h"
#include "images/image_lookup.h"
#include "images/image_place.h"
#include "lists/port_listing.h"
#include "output/listing.h"
#include "output/messages.h"
#include "output/template.h"
#include "plan/host_config.h"
#include "registry/remote.h"
#include "runner/lifecycle.h"
#include "runner/network_view.h"

namespace lay::cli {

namespace {

std::string note_of(const runner::ContainerConfig& config, const char* key) {
  const auto it = config.notes.find(key);
  return it == config.notes.end() ? "" : it->second;
}

/// As docker has it: by the network's name.
Json networks_json(const std::vector<runner::EndpointView>& views) {
  Json networks = Json::object();
  for (const runner::EndpointView& view : views)
    networks[runner::shown_name(view.endpoint)] = {{"NetworkID", view.network_id},
                                                   {"IPAddress", view.live.address},
                                                   {"IPPrefixLen", view.live.prefix_length},
                                                   {"Gateway", view.live.gateway},
                                                   {"MacAddress", view.live.mac_address},
                                                   {"GlobalIPv6Address", view.live.address6},
                                                   {"GlobalIPv6PrefixLen", view.live.prefix_length6},
                                                   {"IPv6Gateway", view.live.gateway6},
                                                   {"Aliases", view.endpoint.aliases}};
  return networks;
}

/// What the command gets: its own name is docker's Path.
std::vector<std::string> words_after_first(const std::vector<std::string>& words) {
  return words.empty() ? words : std::vector<std::string>(words.begin() + 1, words.end());
}

/// The members that scripts for docker and podman look at, and lay's own under
/// the same names as in the files.
Json describe(const runner::ContainerStore& containers, const runner::Container& container) {
  const runner::ContainerConfig& config = container.config();
  const runner::ContainerState state = container.state();
  const runner::Process& process = config.spec.process;
  const bool is_running = state.status == runner::Status::running;
  const bool is_paused = is_running && runner::is_paused(container);
  const Json spec = runner::to_json(config.spec);
  const std::vector<runner::EndpointView> networks = runner::view_endpoints(containers, container, state);
  const runner::LiveAddress first = networks.empty() ? runner::LiveAddress() : networks.front().live;
  return Json{
      {"Id", config.id},
      {"Name", config.name},
      {"Created", format_time(config.created)},
      {"Path", process.args.empty() ? "" : process.args.front()},
      {"Args", words_after_first(process.args)},
      {"Image", note_of(config, note::kImageId)},
      {"ImageName", note_of(config, note::kImage)},
      {"RestartCount", 0},
      {"PidFile", config.pid_file},
      {"LogPath", config.log.is_kept ? container.path() + "/log" : ""},
      {"State",
       {{"Status", is_paused ? "paused" : runner::to_string(state.status)},
        {"Running", is_running},
        {"Paused", is_paused},
        {"Pid", state.pid},
        {"ExitCode", state.exit_code},
        {"OOMKilled", state.oom_killed},
        {"Error", state.error},
        {"StartedAt", state.started ? format_time(*state.started) : ""},
        {"FinishedAt", state.finished ? format_time(*state.finished) : ""}}},
      {"Config",
       {{"Image", note_of(config, note::kImage)},
        {"Hostname", config.spec.hostname},
        {"Env", process.env},
        {"Cmd", process.args},
        {"WorkingDir", process.cwd},
        {"User", process.user.username},
        {"Tty", process.terminal},
        {"OpenStdin", config.open_stdin},
        {"Labels", config.labels},
        {"Timeout", config.timeout.count()},
        {"Umask", fmt::format("{:04o}", process.user.umask.value_or(022))},
        {"Timezone", time_zone_of(config.spec)},
        {"StopSignal", config.stop_signal}}},
      {"NetworkSettings",
       {{"IPAddress", first.address},
        {"Gateway", first.gateway},
        {"MacAddress", first.mac_address},
        {"GlobalIPv6Address", first.address6},
        {"IPv6Gateway", first.gateway6},
        {"Networks", networks_json(networks)},
        {"Ports", ports_json(published_ports(containers, container, state))}}},
      {"HostConfig", host_config_json(config)},
      {"Mounts", mounts_json(config.spec)},
      {"Upper", container.path() + "/upper"},
      {"Spec", spec},
  };
}

/// What an image's config leaves out when it is not set, and scripts ask for all the same.
Json with_unset(Json config) {
  for (const char* list : {"Env", "Cmd", "Entrypoint", "Labels", "ExposedPorts", "Volumes"})
    if (!config.contains(list)) config[list] = nullptr;
  for (const char* text : {"User", "WorkingDir", "StopSignal"})
    if (!config.contains(text)) config[text] = "";
  return config;
}

Json describe(const FoundImage& found) {
  const layerstore::Image& image = found.image;
  Json layers = Json::array();
  for (const layerstore::Descriptor& layer : image.manifest.layers) layers.push_back(to_json(layer));
  std::vector<std::string> diff_ids;
  for (const layerstore::Digest& diff_id : image.config.diff_ids) diff_ids.push_back(diff_id.to_string());
  Json config = parse_json(layerstore::write_image_config(image.config), "image config");
  return Json{
      {"Id", image.id().to_string()},
      {"Name", found.name},
      {"RepoTags", found.name.empty() ? Json::array() : Json::array({found.name})},
      {"Digest", image.descriptor.digest.to_string()},
      {"MediaType", image.manifest.media_type},
      {"Created", image.config.created},
      {"Author", image.config.author},
      {"Os", image.config.os},
      {"Architecture", image.config.architecture},
      {"Config", with_unset(config.value("config", Json::object()))},
      {"RootFS", {{"Type", "layers"}, {"Layers", diff_ids}}},
      {"Layers", layers},
      {"History", config.value("history", Json::array())},
  };
}

Json describe_remote(const std::string& name, const std::string& platform,
                     const registry::Connection& connection) {
  const registry::Reference reference = remote_reference(name, connection.conf);
  const layerstore::Platform wanted =
      platform.empty() ? layerstore::host_platform() : layerstore::parse_platform(platform);
  return with_context("inspect " + printable(name), [&] {
    return describe(FoundImage{.name = registry::to_string(reference),
                               .image = registry::inspect(reference, wanted, connection)});
  });
}

std::optional<Json> try_describe_container(const Context& context, const std::string& name) {
  try {
    const runner::ContainerStore containers = open_containers(context);
    return describe(containers, containers.find(name));
  } catch (const Error& error) {
    if (error.code() != Errc::not_found && error.code() != Errc::invalid) throw;
    return std::nullopt;
  }
}

std::optional<Json> try_describe_image(const Context& context, const std::string& name) {
  const auto store = open_existing_store(context);
  const auto found = store ? try_find_image(*store, name) : std::nullopt;
  return found ? std::optional(describe(*found)) : std::nullopt;
}

/// Of --type "all" a container of that name goes before an image of that name, as with docker.
Json describe_any(const Context& context, const std::string& name, const std::string& type) {
  if (type != "image")
    if (auto container = try_describe_container(context, name)) return *container;
  if (type != "container")
    if (auto image = try_describe_image(context, name)) return *image;
  throw Error::make(Errc::not_found, "inspect {}: no {} of this name", printable(name),
                    type == "all" ? "container and no image" : type)
      .with_hint("'lay ps -a' and 'lay images' list what is here");
}

}  // namespace

int command_inspect(const Context& context, const Arguments& arguments) {
  std::vector<std::string> names;
  std::string format;
  std::string platform;
  std::string type = "all";
  ConnectionFlags connection;
  Parser parser("inspect", "[flags] CONTAINER|IMAGE …",
                "Shows everything about containers or images as JSON. docker://IMAGE is one "
                "in its registry, which is not pulled.");
  parser.add_option("name", names, "containers or images").required();
  parser.add_option("-f,--format", format, "a template: '{{.State.Pid}}'").type_name("TEMPLATE");
  parser.add_option("--platform", platform, "of docker://IMAGE, instead of this machine's")
      .type_name("OS/ARCH[/VARIANT]");
  parser.add_option("-t,--type", type, "what may be meant: all, container, image")
      .one_of({"all", "container", "image"})
      .type_name("TYPE");
  connection.add_to(parser);
  parser.parse(arguments);
  if (!connection.creds.empty()) require_one_registry(registries_of(names));

  Json all = Json::array();
  int code = 0;
  std::optional<registry::Connection> there;
  for (const std::string& name : names) {
    try {
      if (is_remote(name) && !there) there = connection.connection();
      all.push_back(is_remote(name) ? describe_remote(name, platform, *there)
                                    : describe_any(context, name, type));
    } catch (const Error& error) {
      print_error(error.message(), error.hint());
      code = 1;
    }
  }
  if (format.empty() || format == "json") {
    fmt::print("{}\n", dump_json_pretty(all));
  } else {
    for (const Json& entry : all) fmt::print("{}\n", fill_template(format, entry));
  }
  return code;
}

}  // namespace lay::cli
