#include <fmt/format.h>

#include <span>

#include "base/error.h"
#include "base/text.h"
#include "command.h"
#include "flags/options.h"
#include "generate/recipe.h"
#include "images/image_lookup.h"
#include "output/messages.h"
#include "output/output_file.h"
#include "plan/container_layers.h"

namespace lay::cli {

namespace {

struct GenerateOptions {
  std::string format;
  std::string source;
  std::string name;
  std::string file;
  bool has_service = false;
};

GenerateOptions parse_options(const Arguments& arguments) {
  GenerateOptions options;
  Parser parser("generate", "quadlet|kube|compose [flags] CONTAINER|IMAGE",
                "Writes how a container or an image is run as a systemd unit of podman, a Kubernetes pod "
                "or a compose file. What such a file cannot say is told on stderr.");
  parser.add_option("format", options.format, "quadlet, kube or compose").required();
  parser.add_option("source", options.source, "container or image").required();
  parser.add_option("--name", options.name, "instead of the container's or the image's").type_name("NAME");
  parser.add_option("-f,--filename", options.file, "file to write (default: stdout)").type_name("FILE");
  parser.add_flag("-s,--service", options.has_service, "kube: a Service for the published ports, too");
  parser.parse(arguments);
  if (options.format != "quadlet" && options.format != "kube" && options.format != "compose")
    throw UsageError{fmt::format("'{}' is none of quadlet, kube, compose", printable(options.format))};
  if (options.has_service && options.format != "kube") throw UsageError{"--service goes with kube"};
  return options;
}

/// The image's own words; none, with a note, when it is no longer here.
layerstore::RunDefaults defaults_of(const layerstore::Store& store, const runner::Container& container) {
  try {
    return image_of(container, store).config.run;
  } catch (const Error& error) {
    if (error.code() != Errc::not_found) throw;
    print_note("the container's image is not in the store: all that it says is written out");
    return {};
  }
}

/// A container goes before an image of the same name, as with inspect.
Recipe find_recipe(const Context& context, const layerstore::Store& store, const std::string& name) {
  if (const auto container = open_containers(context).try_find(name))
    return recipe_of(container->config(), container->config().notes.at(note::kImage),
                     defaults_of(store, *container));
  const FoundImage found = find_image(store, name);
  return recipe_of_image(found.name.empty() ? name : found.name, found.image.config.run);
}

/// It names files, units and keys.
void check_name(const std::string& name) {
  constexpr const char* kFit = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
  if (!name.empty() && name.find_first_not_of(kFit) == std::string::npos && name.front() != '-' &&
      name.front() != '.')
    return;
  throw Error::make(Errc::invalid, "'{}' cannot be the name of a service", printable(name))
      .with_hint("--name NAME, of letters, digits, '_', '.' and '-'");
}

Generated generate(const GenerateOptions& options, const Recipe& recipe) {
  if (options.format == "quadlet") return generate_quadlet(recipe);
  if (options.format == "compose") return generate_compose(recipe);
  return generate_kube(recipe, options.has_service ? WithService::yes : WithService::no);
}

void write(const std::string& file, const std::string& text) {
  if (file.empty() || file == "-") {
    fmt::print("{}", text);
    return;
  }
  OutputFile output(file);
  output.sink().write(std::as_bytes(std::span(text)));
  output.commit();
}

}  // namespace

int command_generate(const Context& context, const Arguments& arguments) {
  const GenerateOptions options = parse_options(arguments);
  return with_context("generate " + printable(options.source), [&] {
    const layerstore::Store store = open_store_with(context, options.source);
    Recipe recipe = find_recipe(context, store, options.source);
    if (!options.name.empty()) recipe.name = options.name;
    check_name(recipe.name);
    const Generated generated = generate(options, recipe);
    write(options.file, generated.text);
    for (const std::string& flag : generated.left_out)
      print_note(fmt::format("{} cannot say {}", options.format, printable(flag)));
    return 0;
  });
}

}  // namespace lay::cli
