#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "command.h"
#include "flags/options.h"
#include "layerstore/usage.h"
#include "lists/prune_filter.h"
#include "output/messages.h"
#include "prompt.h"
#include "registry/server.h"

namespace lay::cli {

namespace {

void remove_ended_containers(const runner::ContainerStore& containers, const PruneFilter& filter) {
  for (const runner::Container& container : containers.list()) {
    if (container.state().status == runner::Status::running) continue;
    if (!filter.fits(container.config().created, container.config().labels)) continue;
    try {
      containers.remove(container);
      fmt::print("Removed container: {}\n", container.config().name);
    } catch (const Error& error) {
      if (error.code() == Errc::busy) continue;  // it was started just now
      print_error("prune: " + container.config().name + ": " + error.message(), error.hint());
    }
  }
}

/// As a shell reads it.
std::string quoted(const std::string& word) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-_=.,:/@+").find(c) != std::string_view::npos;
  };
  if (!word.empty() && std::ranges::all_of(word, is_plain)) return word;
  return "'" + join(split(word, '\''), "'\\''") + "'";
}

/// The same command, which removes no more than this one, without a question.
std::string unasked(const Context& context, const Arguments& arguments) {
  std::string command = "lay";
  if (context.root != default_context().root) command += " --root " + quoted(printable(context.root));
  command += " prune";
  for (const std::string& word : arguments) command += " " + quoted(printable(word));
  return command + " -f";
}

/// Tells no size: what they took is in no layer.
int prune_containers(const runner::ContainerStore& containers, const PruneFilter& filter) {
  remove_ended_containers(containers, filter);
  containers.sweep_removed();
  return 0;
}

/// The moment that `until` is compared with. An image says when it was made, of which one that was committed
/// or imported is as old as the newest file in it; but it is here only since it was named.
std::optional<Time> age_of(const layerstore::Store& store, const layerstore::NamedImage& named,
                           const layerstore::ImageConfig& config) {
  const std::optional<Time> created = parse_time(config.created);
  const std::optional<Time> here = store.images().named_at(named.manifest.digest);
  return created && here ? std::max(created, here) : std::nullopt;
}

std::vector<layerstore::NamedImage> fitting_images(const layerstore::Store& store,
                                                   const PruneFilter& filter) {
  std::vector<layerstore::NamedImage> images = store.images().list();
  std::erase_if(images, [&](const layerstore::NamedImage& named) {
    try {
      const layerstore::ImageConfig config = store.load(named.manifest).config;
      return !filter.fits(age_of(store, named, config), config.run.labels);
    } catch (const Error& error) {
      print_error(fmt::format("prune: {}: {}", printable(named.name), error.message()), error.hint());
      return true;
    }
  });
  return images;
}

void remove_unused_names(const layerstore::Store& store, const runner::ContainerStore& containers,
                         const std::optional<PruneFilter>& filter) {
  // Only for a filter they have to be read: a damaged one goes too
  std::vector<layerstore::NamedImage> images =
      filter ? fitting_images(store, *filter) : store.images().list();
  const layerstore::InUse in_use = in_use_by(store, containers);  // last: reading many takes its time
  if (in_use.everything) return;
  std::erase_if(images, [&](const layerstore::NamedImage& named) {
    return in_use.manifests.contains(named.manifest.digest);
  });
  for (const std::string& name : store.images().remove_unmoved(images))
    fmt::print("Untagged: {}\n", printable(name));
}

/// What became of what only the registry keeps.
enum class Records { left, expired, served };

Records expire_records(const layerstore::Store& store) {
  return registry::expire_now(store, print_trouble) ? Records::expired : Records::served;
}

void tell_held(std::uint64_t size, Records records) {
  if (records == Records::expired) return;
  print_note(fmt::format("the registry keeps {} that no name leads to: {}", format_size(size),
                         records == Records::served
                             ? "'lay serve', which runs just now, frees it when --keep-untagged is over"
                             : "'lay serve' frees it when --keep-untagged is over, or 'lay prune "
                               "--registry' while none serves, at once"));
}

}  // namespace

int command_prune(const Context& context, const Arguments& arguments) {
  bool all = false;
  bool registry_too = false;
  bool force = false;
  bool only_images = false;
  bool only_containers = false;
  std::vector<std::string> filters;
  Parser parser("prune", "[flags]",
                "Removes containers that have ended, what no name or container needs, and what "
                "killed processes left behind.");
  parser.add_flag("-a,--all", all, "also images that no container was made from");
  parser.add_flag(
      "--registry", registry_too,
      "also what a registry that is not served keeps untagged, whatever serve --keep-untagged says");
  parser.add_flag("--images", only_images, "leave containers alone");
  parser.add_flag("--containers", only_containers, "leave images alone");
  parser.add_list(
      "--filter", filters,
      "only containers, and with -a images, that fit: until=MOMENT (made and named before it), "
      "label=KEY[=VALUE], label!=KEY[=VALUE]; what has no name goes unless it is --images without -a",
      "KEY=VALUE");
  parser.add_flag("-f,--force", force, "do not ask");
  parser.parse(arguments);
  const PruneFilter filter(filters);
  if (only_containers && (only_images || all || registry_too))
    throw UsageError{"--containers leaves images alone"};
  if (registry_too && !filters.empty())
    throw UsageError{"--registry: a filter says nothing of what has no tag"};
  require_root("prune");
  if (!std::filesystem::exists(context.root)) {
    fmt::print("Reclaimed {}\n", format_size(0));
    return 0;
  }
  const auto is_refused = [&](const std::string& question) {
    return !force && !is_confirmed(question + "?", unasked(context, arguments));
  };
  if (only_containers)
    return is_refused("Remove ended containers") ? 1 : prune_containers(open_containers(context), filter);
  if (only_images && !all && !filters.empty()) {
    print_note("a filter says nothing of what has no name, which stays; with -a it chooses among images");
    return 0;
  }
  const layerstore::Store store = open_store(context);
  const runner::ContainerStore containers = open_containers(context);
  std::string question =
      only_images ? "Remove what no image needs" : "Remove ended containers and what no image needs";
  if (all) question += ", and every image without a container";
  if (registry_too) question += ", and all that the registry keeps untagged";
  if (is_refused(question)) return 1;

  const auto measure = [&] { return layerstore::measure_usage(store, in_use_by(store, containers)); };
  if (!only_images) remove_ended_containers(containers, filter);
  containers.sweep_removed();
  if (all) remove_unused_names(store, containers, filters.empty() ? std::nullopt : std::optional(filter));
  const Records records = registry_too ? expire_records(store) : Records::left;
  const std::uint64_t before = measure().reclaimable;
  store.drop_parts();
  const layerstore::Collecting collecting = collect(store, containers, Freeing::now);
  const layerstore::StoreUsage usage = measure();
  const std::uint64_t after = usage.reclaimable;
  if (usage.held > 0) tell_held(usage.held, records);
  if (before > 0 && collecting == layerstore::Collecting::gave_way) print_note(std::string(kGaveWay));
  fmt::print("Reclaimed {}\n", format_size(before > after ? before - after : 0));
  return 0;
}

}  // namespace lay::cli
