#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <filesystem>
#include <map>
#include <memory>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "command.h"
#include "containers/attached_end.h"
#include "flags/options.h"
#include "flags/pull_flags.h"
#include "images/id_file.h"
#include "images/image_lookup.h"
#include "images/image_place.h"
#include "images/image_removal.h"
#include "images/root_view.h"
#include "layerstore/platform_rank.h"
#include "output/messages.h"
#include "output/progress_display.h"
#include "plan/container_layers.h"
#include "plan/container_plan.h"
#include "registry/transfer.h"
#include "runner/ended.h"
#include "runner/explain.h"
#include "runner/host_security.h"
#include "runner/isolation.h"
#include "runner/lifecycle.h"
#include "runner/merged_view.h"

namespace lay::cli {

namespace {

struct Invocation {
  std::string image;
  std::string id_file;
  std::string platform;  ///< empty: any that runs here
  RunPullFlags pull;
  PullPolicy pulls = PullPolicy::missing;
  bool replaces = false;
  bool removes_image = false;
  bool detached = false;
  bool explains = false;
  RunOptions options;
};

void add_surrounding_flags(Parser& parser, RunOptions& options) {
  options.mounts.add_to(parser);
  parser.add_list("-p,--publish", options.ports, "make a port reachable from the host",
                  "[IP:][HOST:]PORT[/udp]");
  options.network_flags.add_to(parser);
  options.log.add_to(parser);
  parser.add_list("--network,--net", options.networks,
                  "bridge (default), none, host, container:NAME, or some of yours", "MODE");
  parser.add_option("-h,--hostname", options.hostname, "host name inside").type_name("NAME");
  options.resources.add_to(parser);
  options.placement.add_to(parser);
  options.isolation.add_to(parser);
  options.namespaces.add_to(parser);
  options.runtime.add_to(parser);
}

void add_process_flags(Parser& parser, RunOptions& options) {
  parser.add_flag("-i,--interactive", options.interactive, "pass stdin on");
  parser.add_flag("-t,--tty", options.terminal, "give it a terminal");
  parser.add_option("--name", options.name, "name of the container").type_name("NAME");
  options.environment.add_to(parser);
  options.base_environment.add_to(parser);
  options.notes.add_to(parser);
  options.surroundings.add_to(parser);
  parser.add_option("-w,--workdir", options.workdir, "folder the command starts in").type_name("PATH");
  parser.add_option("-u,--user", options.user, "user the command runs as").type_name("USER[:GROUP]");
  parser.add_option("--entrypoint", options.entrypoint, "instead of the image's; empty: none")
      .type_name("COMMAND");
  parser.add_option("--stop-signal", options.stop_signal, "signal that stops it (SIGTERM)")
      .type_name("SIGNAL");
  parser.add_option("--stop-timeout", options.stop_timeout, "seconds until SIGKILL (10)")
      .type_name("SECONDS");
  parser.add_flag("--rm", options.auto_remove, "remove it when it ends");
  options.session.add_to(parser);
}

/// What goes together, and what one flag asks for of others.
void settle(Invocation& invocation) {
  if (invocation.replaces && invocation.options.name.empty())
    throw UsageError{"--replace goes with --name: whose place shall it take?"};
  if (invocation.detached && invocation.options.session.attaches())
    throw UsageError{"-d leaves the command alone: no --attach goes with it"};
  if (invocation.detached && invocation.removes_image)
    throw UsageError{"--rmi goes without -d: lay removes the image when the command has ended"};
  if (invocation.removes_image) invocation.options.auto_remove = true;
  invocation.pulls = invocation.pull.policy();
  invocation.platform = invocation.pull.platform.text();
}

Invocation parse_invocation(const Arguments& arguments) {
  Invocation invocation;
  Parser parser("run", "[flags] IMAGE [COMMAND [ARG …]]",
                "Runs a command in a new container. Flags end at IMAGE.");
  parser.leave_h_alone();  // -h is the host name, as docker has it
  parser.add_flag("-d,--detach", invocation.detached, "in the background; prints the id");
  add_process_flags(parser, invocation.options);
  add_surrounding_flags(parser, invocation.options);
  parser.add_flag("--explain", invocation.explains,
                  "print its runtime spec, and what will not protect; start nothing");
  parser.add_option("--cidfile", invocation.id_file, "write the container id to this file").type_name("FILE");
  parser.add_flag("--replace", invocation.replaces, "kill and remove the container that has this name");
  parser.add_flag("--rmi", invocation.removes_image,
                  "as --rm, and remove the image too, unless another container needs it");
  invocation.pull.add_to(parser);
  std::vector<std::string> words = parser.parse_prefix(arguments);
  if (words.empty()) throw UsageError{"which image?"};
  settle(invocation);
  invocation.image = words.front();
  invocation.options.command.assign(words.begin() + 1, words.end());
  return invocation;
}

FoundImage pull_for_run(const layerstore::Store& store, const Invocation& invocation) {
  registry::Connection connection = invocation.pull.connection.connection();
  if (connection.credentials)
    require_one_registry(registries_of(remote_references(invocation.image, connection.conf)));
  const bool quiet = invocation.pull.quiet;
  if (quiet) connection.on_silence = nullptr;
  if (!quiet) print_note("pulling " + printable(invocation.image));
  const auto progress = quiet ? nullptr : make_progress_display();
  return pull_image(store, invocation.image,
                    {.platform = invocation.pull.platform.value(), .connection = connection},
                    progress ? *progress : no_progress());
}

/// Whether an image that is here is the one that --platform asks for.
bool is_for_platform(const layerstore::ImageConfig& config, const std::string& wanted) {
  if (wanted.empty()) return true;
  return layerstore::platform_rank({config.os, config.architecture, config.variant},
                                   layerstore::parse_platform(wanted))
      .has_value();
}

/// The names of other containers.
void resolve_names(const runner::ContainerStore& containers, runner::ContainerConfig& config) {
  if (config.network.mode == runner::NetworkMode::container)
    config.network.container = containers.find(config.network.container).config().id;
  resolve_joined(containers, config);
}

/// What is wrong with the flags is told before anything is fetched. Of the image only a command is supposed.
void check_flags(const Context& context, const runner::ContainerStore& containers,
                 const RunOptions& options) {
  layerstore::ImageConfig image;
  image.run.cmd = {"command"};
  runner::ContainerConfig config = plan_container(image, options);
  resolve_names(containers, config);
  find_networks(context.root, config.network);
  runner::check_isolation(config.spec);
}

/// Why it was to be pulled. `found` is one of that name, for another platform.
std::string why_pulled(const layerstore::Store& store, const Invocation& invocation,
                       const std::optional<FoundImage>& found) {
  const std::string image = printable(invocation.image);
  if (invocation.pulls == PullPolicy::always) return fmt::format("pulling image '{}' failed", image);
  if (!found) return fmt::format("image '{}' is not in {}, and pulling it failed", image, store.path());
  const layerstore::ImageConfig& config = found->image.config;
  const PlatformFlags& flags = invocation.pull.platform;
  const bool is_asked = !flags.platform.empty() || !flags.os.empty() || !flags.arch.empty();
  const std::string variant = config.variant.empty() ? "" : "/" + config.variant;
  return fmt::format("image '{}' is here for {}, not for {}{}, and pulling it failed", image,
                     printable(config.os + "/" + config.architecture + variant),
                     printable(invocation.platform),
                     is_asked || !flags.variant.empty() ? "" : " (which DOCKER_DEFAULT_PLATFORM asks for)");
}

FoundImage obtain_image(const Context& context, const runner::ContainerStore& containers,
                        const layerstore::Store& store, const Invocation& invocation) {
  if (invocation.pulls == PullPolicy::never) return find_image(store, invocation.image);
  std::optional<FoundImage> found;
  if (invocation.pulls == PullPolicy::missing) found = try_find_image(store, invocation.image);
  if (found && is_for_platform(found->image.config, invocation.platform)) return std::move(*found);
  check_flags(context, containers, invocation.options);
  return with_context(why_pulled(store, invocation, found), [&] { return pull_for_run(store, invocation); });
}

/// Made for an image that is to be pulled, when nothing is wrong with the words on the command line.
layerstore::Store open_store_for(const Context& context, const runner::ContainerStore& containers,
                                 const Invocation& invocation) {
  if (auto store = open_existing_store(context)) return std::move(*store);
  if (invocation.pulls == PullPolicy::never) return open_store_with(context, invocation.image);
  check_flags(context, containers, invocation.options);
  return open_store_to_pull(context, invocation.image, invocation.pull.connection.connection());
}

std::string diff_id_note(const layerstore::Image& image) {
  std::vector<std::string> diff_ids;
  for (const layerstore::Digest& diff_id : image.config.diff_ids) diff_ids.push_back(diff_id.to_string());
  return join(diff_ids, ",");
}

/// A container and what it stands on.
struct Prepared {
  runner::NetworkAhead network;
  runner::Container container;
  std::unique_ptr<ContainerLayers> layers;
};

/// What the container will be, with the names of other containers resolved.
runner::ContainerConfig plan_from_image(const runner::ContainerStore& containers, const FoundImage& found,
                                        const RunOptions& options) {
  runner::ContainerConfig config = plan_container(found.image.config, options);
  resolve_names(containers, config);
  return config;
}

bool is_ready(const layerstore::Store& store, const layerstore::Image& image) {
  return std::ranges::all_of(image.config.diff_ids,
                             [&](const layerstore::Digest& diff_id) { return store.layers().has(diff_id); });
}

/// A folder of every machine that a file system can hide from this process: the store is not in it.
std::string find_scratch(const std::string& root) {
  const std::string place = std::filesystem::weakly_canonical(root).string() + "/";
  for (const char* folder : {"/mnt", "/tmp", "/run", "/dev"})
    if (std::filesystem::is_directory(folder) && !place.starts_with(std::string(folder) + "/")) return folder;
  throw Error(Errc::unsupported, "there is no folder to look into the image: /mnt, /tmp, /run or /dev");
}

/// The image's files as the container will see them. The host sees nothing of the mounts that this takes.
UniqueFd open_root_unseen(const Context& context, const layerstore::Store& store,
                          const layerstore::Image& image) {
  Context unseen = context;
  unseen.run = find_scratch(context.root) + "/lay";
  runner::leave_host_mounts(find_scratch(context.root));
  RootView view(unseen, store, image, "");
  view.leave_to_namespace();
  return view.open();
}

runner::Spec explain_spec(const Context& context, const runner::ContainerStore& containers,
                          const layerstore::Store& store, const layerstore::Image& image,
                          runner::ContainerConfig config) {
  if (!is_ready(store, image)) {
    print_note("the user is shown as it was asked for: the image's layers are not unpacked yet");
    return runner::explain_start(containers, std::move(config), nullptr);
  }
  const UniqueFd root = open_root_unseen(context, store, image);
  return runner::explain_start(containers, std::move(config), &root);
}

/// --explain: the spec on stdout, what is missing on stderr. Makes and pulls nothing.
int explain_container(const Context& context, const runner::ContainerStore& containers,
                      const Invocation& invocation) {
  const auto store = open_existing_store(context);
  if (!store)
    throw Error::make(Errc::not_found, "there is no image '{}'", printable(invocation.image))
        .with_hint("--explain pulls none: lay pull IMAGE");
  const FileLock lock = store->share();
  const FoundImage found = find_image(*store, invocation.image);
  runner::ContainerConfig config = plan_from_image(containers, found, invocation.options);
  find_networks(context.root, config.network);
  const runner::Spec spec = explain_spec(context, containers, *store, found.image, std::move(config));
  const std::vector<std::string> missing = runner::missing_protections(spec);  // or what a start would refuse
  fmt::print("{}\n", dump_json_pretty(runner::to_json(spec)));
  for (const std::string& each : missing) print_note("not in force: " + each);
  return 0;
}

layerstore::IdRanges mapped_ids(const std::vector<runner::IdMapping>& mappings, std::uint32_t automatic) {
  layerstore::IdRanges ids;
  ids.add(0);  // that root is mapped is asked elsewhere
  if (automatic > 0) ids.add({0, automatic - 1});
  for (const auto& [container_id, host_id, size] : mappings)
    if (size > 0) ids.add({container_id, container_id + std::min(size - 1, UINT32_MAX - container_id)});
  return ids;
}

/// The first of `ids` that is not among `mapped`.
std::optional<std::uint32_t> find_unmapped(const layerstore::IdRanges& ids,
                                           const layerstore::IdRanges& mapped) {
  for (const auto& [first, last] : ids.ranges()) {
    const auto around = std::find_if(mapped.ranges().begin(), mapped.ranges().end(),
                                     [&](const layerstore::IdRange& range) { return range.last >= first; });
    if (around == mapped.ranges().end() || around->first > first) return first;
    if (around->last < last) return around->last + 1;
  }
  return std::nullopt;
}

std::uint32_t highest(const layerstore::IdRanges& ids) {
  return ids.ranges().empty() ? 0 : ids.ranges().back().last;
}

/// Files of owners that a user namespace does not know would be nobody's.
void require_mapped_owners(const layerstore::Store& store, const layerstore::Image& image,
                           const runner::Spec& spec) {
  const std::uint32_t automatic = spec.linux_.auto_ids.value_or(0);
  if (automatic == 0 && spec.linux_.uid_mappings.empty()) return;
  const layerstore::IdRanges uids = mapped_ids(spec.linux_.uid_mappings, automatic);
  const layerstore::IdRanges gids = mapped_ids(spec.linux_.gid_mappings, automatic);
  for (std::size_t i = 0; i < image.config.diff_ids.size(); ++i) {
    const layerstore::OwnerIds owners =
        store.layers().owners(image.config.diff_ids[i], image.manifest.layers.at(i), store.blobs());
    const auto user = find_unmapped(owners.uids, uids);
    const auto missing = user ? user : find_unmapped(owners.gids, gids);
    if (!missing) continue;
    const std::uint64_t needed =
        std::bit_ceil(std::uint64_t{std::max(highest(owners.uids), highest(owners.gids))} + 1);
    throw Error::make(Errc::unsupported,
                      "the image has files of {} {}, which the container's user namespace does not have",
                      user ? "user" : "group", *missing)
        .with_hint(needed < UINT32_MAX / 2 ? fmt::format("--userns auto:size={}", needed)
                                           : "run it without --userns");
  }
}

/// Creates the container while the store is held shared, so that none of its layers is collected in between.
Prepared create_container(const Context& context, const runner::ContainerStore& containers,
                          const Invocation& invocation) {
  if (!invocation.options.name.empty()) runner::sweep_ended_named(containers, invocation.options.name);
  const layerstore::Store store = open_store_for(context, containers, invocation);
  const FileLock lock = store.share();
  const FoundImage found = obtain_image(context, containers, store, invocation);
  runner::ContainerConfig config = plan_from_image(containers, found, invocation.options);
  const std::optional<FileLock> networks_stay = settle_networks(context.root, config.network);
  auto layers = std::make_unique<ContainerLayers>(context, store, found.image);
  require_mapped_owners(store, found.image, config.spec);
  config.lowers = layers->paths();
  config.notes.insert({
      {note::kImage, found.name.empty() ? invocation.image : found.name},
      {note::kManifest, found.image.descriptor.digest.to_string()},
      {note::kImageId, found.image.id().to_string()},
      {note::kDiffIds, diff_id_note(found.image)},
  });
  if (invocation.replaces) {  // whose end may take its time, and other processes: no thread beside that
    runner::Container container = create_in_place(containers, config);
    runner::NetworkAhead network(container.config());
    return {.network = std::move(network), .container = std::move(container), .layers = std::move(layers)};
  }
  runner::NetworkAhead network(config);
  return {.network = std::move(network),
          .container = containers.create(std::move(config)),
          .layers = std::move(layers)};
}

/// --rmi: what is done already does not fail because of it.
void remove_used_image(const Context& context, const runner::ContainerStore& containers,
                       const std::map<std::string, std::string>& notes) {
  try {
    const auto store = open_existing_store(context);
    if (!store) return;
    const std::string& image = notes.at(note::kImage);
    const auto manifest = layerstore::Digest::parse(notes.at(note::kManifest));
    if (remove_image(*store, containers, image, Force::no, manifest).removed.empty())
      return print_note(fmt::format("--rmi: '{}' is another image by now, and stays", printable(image)));
    collect(*store, containers, Freeing::later);
  } catch (const Error& error) {
    print_note("--rmi: " + error.message());
  }
}

runner::AttachedEnd run_container(const runner::ContainerStore& containers, Prepared& prepared,
                                  bool detached) {
  const runner::Container& container = prepared.container;
  const auto release = [&] { prepared.layers->release(); };
  runner::AttachedEnd end;
  if (detached)
    runner::run_detached(containers, container, release, print_note, std::move(prepared.network));
  else
    end = runner::run_attached(containers, container, release, print_trouble, print_note,
                               std::move(prepared.network));
  prepared.layers->leave_to_other();
  if (detached) fmt::print("{}\n", container.config().id);
  return end;
}

}  // namespace

int command_run(const Context& context, const Arguments& arguments) {
  const Invocation invocation = parse_invocation(arguments);
  require_root("run");
  return with_context("run " + printable(invocation.image), [&] {
    const runner::ContainerStore containers = open_containers(context);
    if (invocation.explains) return explain_container(context, containers, invocation);
    IdFile id_file(invocation.id_file);
    Prepared prepared = create_container(context, containers, invocation);
    id_file.write(prepared.container.config().id);
    const auto notes = prepared.container.config().notes;
    const runner::AttachedEnd end = run_container(containers, prepared, invocation.detached);
    if (invocation.removes_image) remove_used_image(context, containers, notes);
    return exit_code_of(end);
  });
}

}  // namespace lay::cli
