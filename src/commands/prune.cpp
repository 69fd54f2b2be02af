#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "command.h"
#include "flags/options.h"
#include "layerstore/usage.h"
#include "lists/prune_filter.h"
#include "output/messages.h"
#include "prompt.h"

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
std::string unasked(const Arguments& arguments) {
  std::string command = "lay prune";
  for (const std::string& word : arguments) command += " " + quoted(printable(word));
  return command + " -f";
}

/// Tells no size: what they took is in no layer.
int prune_containers(const runner::ContainerStore& containers, const PruneFilter& filter) {
  remove_ended_containers(containers, filter);
  containers.sweep_removed();
  return 0;
}

void remove_unused_names(const layerstore::Store& store, const layerstore::InUse& in_use,
                         const PruneFilter& filter, bool is_filtered) {
  for (const layerstore::NamedImage& named : store.images().list()) {
    if (in_use.everything || in_use.manifests.contains(named.manifest.digest)) continue;
    try {
      if (is_filtered) {  // only then it has to be read: a damaged one goes too
        const layerstore::ImageConfig config = store.load(named.manifest).config;
        if (!filter.fits(parse_time(config.created), config.run.labels)) continue;
      }
    } catch (const Error& error) {
      print_error(fmt::format("prune: {}: {}", printable(named.name), error.message()), error.hint());
      continue;
    }
    store.images().remove(named.name);
    fmt::print("Untagged: {}\n", printable(named.name));
  }
}

}  // namespace

int command_prune(const Context& context, const Arguments& arguments) {
  bool all = false;
  bool force = false;
  bool only_images = false;
  bool only_containers = false;
  std::vector<std::string> filters;
  Parser parser("prune", "[flags]",
                "Removes containers that have ended, what no name or container needs, and what "
                "killed processes left behind.");
  parser.add_flag("-a,--all", all, "also images that no container was made from");
  parser.add_flag("--images", only_images, "leave containers alone");
  parser.add_flag("--containers", only_containers, "leave images alone");
  parser.add_list("--filter", filters,
                  "only containers, and with -a images, that fit: until=MOMENT, label=KEY[=VALUE], "
                  "label!=KEY[=VALUE]; what has no name goes unless it is --images without -a",
                  "KEY=VALUE");
  parser.add_flag("-f,--force", force, "do not ask");
  parser.parse(arguments);
  const PruneFilter filter(filters);
  if (only_containers && (only_images || all)) throw UsageError{"--containers leaves images alone"};
  require_root("prune");
  if (!std::filesystem::exists(context.root)) {
    fmt::print("Reclaimed {}\n", format_size(0));
    return 0;
  }
  const auto is_refused = [&](const std::string& question) {
    return !force && !is_confirmed(question + "?", unasked(arguments));
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
  if (is_refused(question)) return 1;

  const auto measure = [&] { return layerstore::measure_usage(store, in_use_by(store, containers)); };
  if (!only_images) remove_ended_containers(containers, filter);
  containers.sweep_removed();
  if (all) remove_unused_names(store, in_use_by(store, containers), filter, !filters.empty());
  const std::uint64_t before = measure().reclaimable;
  store.drop_parts();
  collect(store, containers, Freeing::now);
  const std::uint64_t after = measure().reclaimable;
  if (before > 0 && after >= before)
    print_note("somebody adds to the store just now: what nobody needs goes with the next prune");
  fmt::print("Reclaimed {}\n", format_size(before > after ? before - after : 0));
  return 0;
}

}  // namespace lay::cli
