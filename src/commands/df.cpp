#include <fcntl.h>
#include <fmt/format.h>

#include "base/syscalls.h"
#include "base/text.h"
#include "command.h"
#include "flags/options.h"
#include "layerstore/usage.h"
#include "output/listing.h"
#include "output/messages.h"

namespace lay::cli {

namespace {

Json image_row(const layerstore::ImageUsage& image) {
  return Json{{"Type", "image"},
              {"Name", image.name},
              {"Bytes", image.shared + image.unique},
              {"SharedBytes", image.shared},
              {"UniqueBytes", image.unique},
              {"Size", format_size(image.shared + image.unique)},
              {"Shared", format_size(image.shared)},
              {"Unique", format_size(image.unique)}};
}

/// All that a container has of its own, its log included.
Json container_row(const runner::Container& container) {
  const std::uint64_t size =
      layerstore::disk_size(sys::open_at(container.dir(), ".", O_RDONLY | O_DIRECTORY));
  return Json{{"Type", "container"},
              {"Name", container.config().name},
              {"Bytes", size},
              {"SharedBytes", 0},
              {"UniqueBytes", size},
              {"Size", format_size(size)},
              {"Shared", format_size(0)},
              {"Unique", format_size(size)}};
}

Json total_row(const std::string& name, std::uint64_t size) {
  return Json{{"Type", "total"},  {"Name", name},        {"Bytes", size},
              {"SharedBytes", 0}, {"UniqueBytes", size}, {"Size", format_size(size)},
              {"Shared", ""},     {"Unique", ""}};
}

}  // namespace

int command_df(const Context& context, const Arguments& arguments) {
  std::string format;
  Parser parser("df", "[flags]",
                "Shows what images and containers take on disk. SHARED is needed by other images "
                "too, UNIQUE goes with the image; 'registry' is what no name leads to and 'lay serve' "
                "keeps for a while, 'reclaimable' what 'lay prune' frees.");
  parser.add_option("--format", format, "json, jsonl, or a template").type_name("FORMAT");
  parser.parse(arguments);
  const auto store = open_existing_store(context);
  const runner::ContainerStore containers = open_containers(context);
  layerstore::StoreUsage usage;
  if (store) usage = layerstore::measure_usage(*store, in_use_by(*store, containers));

  std::vector<Json> rows;
  for (const layerstore::ImageUsage& image : usage.images) rows.push_back(image_row(image));
  std::uint64_t container_bytes = 0;
  std::vector<runner::Container> all = containers.list();
  for (runner::Container& damaged : containers.list_damaged()) all.push_back(std::move(damaged));
  for (const runner::Container& container : all) {
    rows.push_back(container_row(container));
    container_bytes += rows.back().at("Bytes").get<std::uint64_t>();
  }
  for (const Error& damage : usage.damages) print_trouble(damage);
  rows.push_back(total_row("images", usage.used));
  rows.push_back(total_row("containers", container_bytes));
  if (usage.held > 0) rows.push_back(total_row("registry", usage.held));
  rows.push_back(total_row("reclaimable", usage.reclaimable));
  print_listing(
      rows,
      {{"TYPE", "Type"}, {"NAME", "Name"}, {"SIZE", "Size"}, {"SHARED", "Shared"}, {"UNIQUE", "Unique"}},
      format);
  return 0;
}

}  // namespace lay::cli
