#include "base/text.h"
#include "command.h"
#include "flags/options.h"
#include "images/image_lookup.h"
#include "output/listing.h"

namespace lay::cli {

namespace {

constexpr std::size_t kShownCommand = 45;

/// Rows newest first, as docker prints them. Layers without a history entry get a row of their own.
std::vector<Json> history_rows(const layerstore::Image& image, bool whole, bool is_human) {
  std::vector<Json> rows;
  std::size_t layer = 0;
  const auto add = [&](const layerstore::History& entry) {
    const bool has_layer = !entry.empty_layer && layer < image.manifest.layers.size();
    const auto created = parse_time(entry.created);
    const std::string age = created ? format_age(*created, std::chrono::system_clock::now()) : "unknown";
    const std::uint64_t size = has_layer ? image.manifest.layers[layer].size : 0;
    const auto id = [&] {
      const layerstore::Digest& diff_id = image.config.diff_ids[layer];
      return whole ? diff_id.to_string() : diff_id.short_hex();
    };
    rows.push_back(Json{
        {"ID", has_layer ? id() : "<none>"},
        {"CreatedAt", entry.created},
        {"Created", is_human || !created ? age : entry.created},
        {"CreatedSince", age},
        {"CreatedBy", whole ? entry.created_by : shortened(entry.created_by, kShownCommand)},
        {"Size", is_human ? format_size(size) : std::to_string(size)},
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
  bool quiet = false;
  bool is_human = true;
  Parser parser("history", "[flags] IMAGE", "Shows the layers of an image, newest first.");
  parser.add_option("image", name, "image of this store").required();
  parser.add_option("--format", format, "json, jsonl, or a template").type_name("FORMAT");
  parser.add_flag("--no-trunc", whole, "whole commands and ids");
  parser.add_flag("-q,--quiet", quiet, "ids of the layers only");
  parser.add_flag("-H,--human,!--no-human", is_human, "ages, and sizes in units (default), or not");
  parser.parse(arguments);
  const FoundImage found = find_image(open_store_with(context, name), name);
  if (quiet) format = "{{.ID}}";
  print_listing(history_rows(found.image, whole, is_human),
                {{"LAYER", "ID"},
                 {"CREATED", "Created"},
                 {"CREATED BY", "CreatedBy"},
                 {"SIZE", "Size"},
                 {"COMMENT", "Comment"}},
                format);
  return 0;
}

}  // namespace lay::cli
