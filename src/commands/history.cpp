#include <fmt/format.h>

#include "base/text.h"
#include "command.h"
#include "flags/options.h"
#include "images/image_lookup.h"
#include "output/listing.h"

namespace lay::cli {

namespace {

constexpr std::size_t kShownCommand = 45;

std::string shortened(const std::string& text, bool whole) {
  return whole || text.size() <= kShownCommand ? text : text.substr(0, kShownCommand - 3) + "...";
}

/// Rows newest first, as docker prints them. Layers without a history entry get a row of their own.
std::vector<Json> history_rows(const layerstore::Image& image, bool whole) {
  std::vector<Json> rows;
  std::size_t layer = 0;
  const auto add = [&](const layerstore::History& entry) {
    const bool has_layer = !entry.empty_layer && layer < image.manifest.layers.size();
    const auto created = parse_time(entry.created);
    rows.push_back(Json{
        {"ID", has_layer ? image.config.diff_ids[layer].short_hex() : "<none>"},
        {"CreatedAt", entry.created},
        {"Created", created ? format_age(*created, std::chrono::system_clock::now()) : "unknown"},
        {"CreatedBy", shortened(entry.created_by, whole)},
        {"Size", has_layer ? format_size(image.manifest.layers[layer].size) : "0 B"},
        {"Comment", entry.comment},
        {"Author", entry.author},
    });
    if (has_layer) ++layer;
  };
  for (const layerstore::History& entry : image.config.history) add(entry);
  while (layer < image.manifest.layers.size()) add({});
  return {rows.rbegin(), rows.rend()};
}

}  // namespace

int command_history(const Context& context, const Arguments& arguments) {
  std::string name;
  std::string format;
  bool whole = false;
  Parser parser("history", "[flags] IMAGE", "Shows the layers of an image, newest first.");
  parser.add_option("image", name, "image of this store").required();
  parser.add_option("--format", format, "json, jsonl, or a template").type_name("FORMAT");
  parser.add_flag("--no-trunc", whole, "whole commands");
  parser.parse(arguments);
  const FoundImage found = find_image(open_store_with(context, name), name);
  print_listing(history_rows(found.image, whole),
                {{"LAYER", "ID"},
                 {"CREATED", "Created"},
                 {"CREATED BY", "CreatedBy"},
                 {"SIZE", "Size"},
                 {"COMMENT", "Comment"}},
                format);
  return 0;
}

}  // namespace lay::cli
