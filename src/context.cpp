#include "context.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <utility>

#include "base/detach.h"
#include "base/error.h"
#include "base/text.h"
#include "output/messages.h"
#include "registry/server.h"

namespace lay::cli {

namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string user_data_folder() {
  const std::string data = environment("XDG_DATA_HOME");
  return (data.empty() ? environment("HOME") + "/.local/share" : data) + "/lay";
}

std::string user_run_folder() {
  const std::string run = environment("XDG_RUNTIME_DIR");
  return run.empty() ? fmt::format("/tmp/lay-{}", ::geteuid()) : run + "/lay";
}

/// In a process that nobody waits for, unless it takes no time.
void free_later(layerstore::Trash trash) {
  if (!trash.is_large()) return;
  if (!detach(Descriptors::own)) return trash.leave();
  { const layerstore::Trash freed = std::move(trash); }
  ::_exit(0);
}

}  // namespace

Context default_context() {
  const bool is_root = ::geteuid() == 0;
  Context context{.root = environment("LAY_ROOT"), .run = environment("LAY_RUN")};
  if (context.root.empty()) context.root = is_root ? "/var/lib/lay" : user_data_folder();
  if (context.run.empty()) context.run = is_root ? "/run/lay" : user_run_folder();
  if (const std::string form = environment("LAY_LAYER_FORM"); !form.empty())
    context.layer_form = with_context("LAY_LAYER_FORM", [&] { return layerstore::parse_layer_form(form); });
  if (const std::string size = environment("LAY_MAX_UNPACKED"); !size.empty())
    context.unpack_limits.most_bytes =
        with_context("LAY_MAX_UNPACKED", [&] { return parse_max_unpacked(size); });
  if (const std::string count = environment("LAY_MAX_ENTRIES"); !count.empty())
    context.unpack_limits.most_entries =
        with_context("LAY_MAX_ENTRIES", [&] { return parse_max_entries(count); });
  context.root = std::filesystem::absolute(context.root).lexically_normal();
  context.run = std::filesystem::absolute(context.run).lexically_normal();
  return context;
}

std::uint64_t parse_max_unpacked(const std::string& size) {
  const auto bytes = parse_size(size);
  if (!bytes || *bytes == 0)
    throw Error::make(Errc::invalid, "'{}' is not a size", printable(size))
        .with_hint("a number with k, m, g or t: 20g");
  return *bytes;
}

std::uint64_t parse_max_entries(const std::string& count) {
  const auto number = parse_number(count);
  if (!number || *number == 0)
    throw Error::make(Errc::invalid, "'{}' is not a number of entries", printable(count))
        .with_hint("10000000");
  return *number;
}

void require_root(const std::string& what) {
  if (::geteuid() == 0) return;
  throw Error::make(Errc::denied, "{}: only root can do this, and this is user {}", what, ::geteuid())
      .with_hint("sudo lay " + what + " …");
}

layerstore::Store open_store(const Context& context) {
  return layerstore::Store::open(context.root, context.layer_form, context.unpack_limits);
}

std::optional<layerstore::Store> open_existing_store(const Context& context) {
  return layerstore::Store::open_existing(context.root, context.layer_form, context.unpack_limits);
}

runner::ContainerStore open_containers(const Context& context) {
  return {context.root, context.run};
}

layerstore::InUse in_use_by(const layerstore::Store& store, const runner::ContainerStore& containers) {
  layerstore::InUse in_use{.blobs = registry::blobs_needed_by_registry(store)};
  for (const runner::Container& container : containers.list_even_damaged()) {
    const auto& notes = container.config().notes;
    const auto manifest = notes.find(note::kManifest);
    const auto diff_ids = notes.find(note::kDiffIds);
    const bool is_known = manifest != notes.end() && diff_ids != notes.end();
    if (!is_known && !container.damage().empty()) in_use.everything = true;
    if (manifest != notes.end()) in_use.manifests.insert(layerstore::Digest::parse(manifest->second));
    if (diff_ids == notes.end() || diff_ids->second.empty()) continue;
    for (const std::string& diff_id : split(diff_ids->second, ','))
      in_use.layers.insert(layerstore::Digest::parse(diff_id));
  }
  return in_use;
}

layerstore::Collecting collect(const layerstore::Store& store, const runner::ContainerStore& containers,
                               Freeing freeing) {
  layerstore::CollectResult collected = store.collect([&] { return in_use_by(store, containers); });
  if (collected.collecting == layerstore::Collecting::unknown)
    print_error("a container is damaged and what it needs is not known, so nothing is collected",
                "'lay ps -a' shows it, 'lay rm -f' removes it");
  if (freeing == Freeing::later && collected.trash) free_later(std::move(*collected.trash));
  return collected.collecting;
}

}  // namespace lay::cli
