#include <fmt/format.h>

#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "command.h"
#include "containers/written_size.h"
#include "flags/options.h"
#include "flags/platform_flags.h"
#include "flags/surroundings_flags.h"
#include "images/image_lookup.h"
#include "images/image_place.h"
#include "images/image_view.h"
#include "lists/container_filter.h"
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
        {"Restarting", false},
        {"Dead", false},
        {"Pid", state.pid},
        {"ExitCode", state.exit_code},
        {"OOMKilled", state.oom_killed},
        {"Error", state.error},
        {"StartedAt", state.started ? format_time(*state.started) : ""},
        {"FinishedAt", state.finished ? format_time(*state.finished) : ""}}},
      {"Config", config_json(config)},
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
      {"GraphDriver",
       {{"Name", "overlay"},
        {"Data",
         {{"LowerDir", join(config.lowers, ":")},
          {"UpperDir", container.path() + "/upper"},
          {"WorkDir", container.path() + "/work"}}}}},
      {"Upper", container.path() + "/upper"},
      {"Spec", spec},
  };
}

/// Empty when the image is gone, or damaged.
std::optional<std::uint64_t> image_size(const Context& context, const std::string& id) try {
  const auto store = open_existing_store(context);
  const auto image = store && !id.empty() ? try_find_image(*store, id) : std::nullopt;
  return image ? std::optional(stored_size(image->image)) : std::nullopt;
} catch (const Error& error) {
  if (error.code() != Errc::not_found && error.code() != Errc::corrupt) throw;
  return std::nullopt;
}

/// Docker's and podman's members of --size. The root's is missing where the image's is.
void add_sizes(Json& described, const Context& context, const runner::Container& container) {
  const std::uint64_t written = written_size(container);
  described["SizeRw"] = written;
  if (const auto size = image_size(context, note_of(container.config(), note::kImageId)))
    described["SizeRootFs"] = written + *size;
}

std::optional<Json> try_describe_container(const Context& context, const std::string& name, bool sizes) {
  const runner::ContainerStore containers = open_containers(context);
  const auto container = containers.try_find(name);
  if (!container) return std::nullopt;
  Json described = describe(containers, *container);
  if (sizes) add_sizes(described, context, *container);
  return described;
}

std::optional<Json> try_describe_image(const Context& context, const std::string& name) {
  const auto store = open_existing_store(context);
  const auto found = store ? try_find_image(*store, name) : std::nullopt;
  return found ? std::optional(describe_image(*found, names_of(*store, found->image))) : std::nullopt;
}

struct InspectOptions {
  std::vector<std::string> names;
  std::string format;
  std::string type = "all";
  std::string platform;
  bool raw = false;
  bool config = false;
  bool size = false;
  ConnectionFlags connection;
};

/// Of --type "all" a container of that name goes before an image of that name, as with docker.
Json describe_any(const Context& context, const std::string& name, const InspectOptions& options) {
  const std::string& type = options.type;
  if (type != "image")
    if (auto container = try_describe_container(context, name, options.size)) return *container;
  if (type != "container")
    if (auto image = try_describe_image(context, name)) return *image;
  throw Error::make(Errc::not_found, "inspect {}: no {} of this name", printable(name),
                    type == "all" ? "container and no image" : type)
      .with_hint("'lay ps -a' and 'lay images' list what is here");
}

InspectOptions parse_options(const Arguments& arguments) {
  InspectOptions options;
  Parser parser("inspect", "[flags] CONTAINER|IMAGE …",
                "Shows everything about containers or images as JSON. docker://IMAGE is one "
                "in its registry, which is not pulled.");
  parser.add_option("name", options.names, "containers or images").required();
  parser.add_option("-f,--format", options.format, "a template: '{{.State.Pid}}'").type_name("TEMPLATE");
  parser.add_option("--platform", options.platform, "of docker://IMAGE, instead of this machine's")
      .type_name("OS/ARCH[/VARIANT]");
  parser.add_flag("--raw", options.raw,
                  "the manifest of an image, or the index that the name leads to, byte for byte");
  parser.add_flag("--config", options.config, "the image's config; with --raw byte for byte");
  parser.add_option("-t,--type", options.type, "what may be meant: all, container, image")
      .one_of({"all", "container", "image"})
      .type_name("TYPE");
  parser.add_flag("-s,--size", options.size,
                  "of containers, also what they have written and their root's size");
  options.connection.add_to(parser);
  parser.parse(arguments);
  if (!options.platform.empty()) layerstore::parse_platform(options.platform);  // throws for what is none
  if ((options.raw || options.config) && (options.names.size() != 1 || options.type == "container"))
    throw UsageError{"--raw and --config show one image"};
  if (options.raw && !options.format.empty() && options.format != "json")
    throw UsageError{"--raw shows bytes, which no --format changes"};
  return options;
}

Json describe_remote(const std::string& name, const InspectOptions& options,
                     const registry::Connection& connection) {
  const registry::Reference reference = remote_reference(name, connection.conf);
  return with_context("inspect " + printable(name), [&] {
    const FoundImage found{
        .name = registry::to_string(reference),
        .image = registry::inspect(reference, platform_or_default(options.platform), connection)};
    return describe_image(found, {{.name = found.name, .manifest = found.image.descriptor}});
  });
}

/// The bytes of a manifest, index or config.
std::string document_of(const Context& context, const InspectOptions& options) {
  const std::string& name = options.names.front();
  if (!is_remote(name)) {
    const layerstore::Store store = open_store_with(context, name);
    const layerstore::Image image = find_image(store, name).image;
    return store.blobs().read(options.config ? image.id() : image.descriptor.digest);
  }
  const registry::Connection connection = options.connection.connection();
  const registry::Reference reference = remote_reference(name, connection.conf);
  const bool shows_root = !options.config && options.platform.empty();
  if (shows_root) return registry::read_document(reference, connection);
  const layerstore::Platform platform = platform_or_default(options.platform);
  return options.config ? registry::read_config(reference, platform, connection)
                        : registry::read_manifest(reference, platform, connection);
}

void print_json(const Json& value, const std::string& format) {
  if (format.empty() || format == "json")
    fmt::print("{}\n", dump_json_pretty(value));
  else
    fmt::print("{}\n", fill_template(format, value));
}

/// --raw and --config, as skopeo has them.
int print_document(const Context& context, const InspectOptions& options) {
  const std::string bytes = with_context("inspect " + printable(options.names.front()),
                                         [&] { return document_of(context, options); });
  if (options.raw)
    fmt::print("{}", bytes);
  else
    print_json(parse_json(bytes, "image config"), options.format);
  return 0;
}

}  // namespace

int command_inspect(const Context& context, const Arguments& arguments) {
  const InspectOptions options = parse_options(arguments);
  if (!options.connection.creds.empty()) require_one_registry(registries_of(options.names));
  if (options.raw || options.config) return print_document(context, options);

  Json all = Json::array();
  int code = 0;
  std::optional<registry::Connection> there;
  for (const std::string& name : options.names) {
    try {
      if (is_remote(name) && !there) there = options.connection.connection();
      all.push_back(is_remote(name) ? describe_remote(name, options, *there)
                                    : describe_any(context, name, options));
    } catch (const Error& error) {
      print_error(error.message(), error.hint());
      code = 1;
    }
  }
  if (options.format.empty() || options.format == "json") {
    print_json(all, "");
  } else {
    for (const Json& entry : all) print_json(entry, options.format);
  }
  return code;
}

}  // namespace lay::cli
