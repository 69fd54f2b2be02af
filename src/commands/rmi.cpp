#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "command.h"
#include "image_lookup.h"
#include "options.h"
#include "output/messages.h"

namespace lay::cli {

namespace {

/// Names of containers that stand on the image.
std::vector<std::string> users_of(const runner::ContainerStore& containers,
                                  const layerstore::Digest& manifest) {
  std::vector<std::string> names;
  for (const runner::Container& container : containers.list()) {
    const auto& notes = container.config().notes;
    const auto it = notes.find(note::kManifest);
    if (it != notes.end() && it->second == manifest.to_string()) names.push_back(container.config().name);
  }
  return names;
}

std::size_t names_of(const layerstore::Store& store, const layerstore::Digest& manifest) {
  const std::vector<layerstore::NamedImage> all = store.images().list();
  return static_cast<std::size_t>(
      std::count_if(all.begin(), all.end(),
                    [&](const layerstore::NamedImage& named) { return named.manifest.digest == manifest; }));
}

/// The name that `text` stands for. Found by name first and without reading the image, so that a damaged
/// image can be removed too.
layerstore::NamedImage find_name(const layerstore::Store& store, const std::string& text) {
  if (const auto manifest = store.images().find(text)) return {.name = text, .manifest = *manifest};
  const FoundImage found = find_image(store, text);
  return {.name = found.name, .manifest = found.image.descriptor};
}

}  // namespace

int command_rmi(const Context& context, const Arguments& arguments) {
  std::vector<std::string> images;
  bool force = false;
  const auto parser =
      make_parser("rmi", "[flags] IMAGE …", "Removes names, and what no other name or container needs.");
  parser->add_option("image", images, "images of this store")->required();
  parser->add_flag("-f,--force", force, "even when a container was made from it; not there is no error");
  parse(*parser, arguments);
  require_root("rmi");
  const layerstore::Store store = open_store(context);
  const runner::ContainerStore containers = open_containers(context);

  int code = 0;
  for (const std::string& text : images) {
    try {
      const layerstore::NamedImage image = find_name(store, text);
      const std::vector<std::string> users = users_of(containers, image.manifest.digest);
      if (!users.empty() && !force && names_of(store, image.manifest.digest) == 1)
        throw Error::make(Errc::busy, "image '{}' is used by {}", text, join(users, ", "))
            .with_hint("lay rm " + users.front() + ", or lay rmi -f");
      store.images().remove(image.name);
      fmt::print("Untagged: {}\n", printable(image.name));
    } catch (const Error& error) {
      if (error.code() == Errc::not_found && force) continue;
      print_error("rmi: " + error.message(), error.hint());
      code = 1;
    }
  }
  collect(store, containers, Freeing::later);
  return code;
}

}  // namespace lay::cli
