#include "layerstore/commit.h"

#include <fmt/format.h>

#include <optional>

#include "base/atomic_file.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "command.h"
#include "container_layers.h"
#include "image_lookup.h"
#include "options.h"
#include "output/messages.h"
#include "output/progress_display.h"
#include "registry/reference.h"

namespace lay::cli {

namespace {

struct CommitOptions {
  std::string source;
  std::string name;
  std::string base;
  std::string id_file;
  bool quiet = false;
  ImageFlags image;
};

/// What is to be captured: an upper and the image it was made on.
struct Source {
  UniqueFd upper;
  std::optional<layerstore::Image> base;
  std::string made_by;
};

CommitOptions parse_options(const Arguments& arguments) {
  CommitOptions options;
  const auto parser =
      make_parser("commit", "[flags] CONTAINER|./UPPER NAME[:TAG]",
                  "Captures what a container changed, or an overlay upper folder, as a new image. "
                  "The same upper gives the same digest everywhere.");
  parser->add_option("source", options.source, "container, or a folder written with a '/'")->required();
  parser->add_option("name", options.name, "name of the new image")->required();
  parser->add_option("--base", options.base, "image the upper folder was made on")->type_name("IMAGE");
  parser->add_option("--iidfile", options.id_file, "write the image id to this file")->type_name("FILE");
  parser->add_flag("-q,--quiet", options.quiet, "no progress");
  options.image.add_to(*parser);
  parse(*parser, arguments);
  return options;
}

Source open_folder(const layerstore::Store& store, const CommitOptions& options) {
  Source source{
      .upper = sys::open_dir(sys::cwd(), options.source), .base = std::nullopt, .made_by = "lay commit"};
  if (!options.base.empty()) source.base = find_image(store, options.base).image;
  return source;
}

Source open_container(const Context& context, const layerstore::Store& store, const CommitOptions& options) {
  if (!options.base.empty())
    throw Error(Errc::invalid, "--base goes with an upper folder: a container knows its image");
  const runner::Container container = open_containers(context).find(options.source);
  const auto& config = container.config();
  return {
      .upper = container.open_upper(),
      .base = image_of(container, store),
      .made_by = join(config.spec.process.args, " "),
  };
}

layerstore::CommitRequest make_request(const CommitOptions& options, const Source& source) {
  layerstore::CommitRequest request;
  request.base = source.base;
  request.run = options.image.over(source.base ? source.base->config.run : layerstore::RunDefaults{});
  request.history.created_by = source.made_by;
  request.history.author = options.image.author;
  request.history.comment = options.image.message;
  request.compression = options.image.compress_options();
  return request;
}

std::vector<UniqueFd> open_folders(const std::vector<std::string>& paths) {
  std::vector<UniqueFd> folders;
  for (const std::string& path : paths) folders.push_back(sys::open_dir(sys::cwd(), path));
  return folders;
}

}  // namespace

int command_commit(const Context& context, const Arguments& arguments) {
  const CommitOptions options = parse_options(arguments);
  require_root("commit");
  return with_context("commit " + printable(options.source), [&] {
    const layerstore::Store store = open_store(context);
    const std::string name = registry::local_name(options.name);
    const bool is_folder = options.source.find('/') != std::string::npos || options.source == ".";
    Source source = is_folder ? open_folder(store, options) : open_container(context, store, options);

    std::optional<ContainerLayers> layers;  // mounted only if the upper points into them
    layerstore::CommitRequest request = make_request(options, source);
    if (source.base)
      request.lowers = [&] {
        layers.emplace(context, store, *source.base);
        return open_folders(layers->paths());
      };
    const auto progress = options.quiet ? nullptr : make_progress_display();
    const layerstore::Image image =
        layerstore::commit_upper(store, source.upper, name, request, progress ? *progress : no_progress());
    if (!options.id_file.empty()) replace_file(sys::cwd(), options.id_file, image.id().to_string(), 0644);
    fmt::print("{}\n", image.id().to_string());
    return 0;
  });
}

}  // namespace lay::cli
