#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "command.h"
#include "image_lookup.h"
#include "image_place.h"
#include "layerstore/make_room.h"
#include "options.h"
#include "output/messages.h"
#include "registry/remote.h"

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

/// A name is removed by writing the index anew, for which a full disk may have no room.
void remove_name(const layerstore::Store& store, const runner::ContainerStore& containers,
                 const std::string& name) {
  try {
    store.images().remove(name);
  } catch (const Error& error) {
    const auto in_use = [&] { return in_use_by(store, containers); };
    if (error.code() != Errc::no_space || !drop_layers_of(store, name, in_use)) throw;
    store.images().remove(name);
  }
}

int remove_remote(const std::vector<std::string>& images, const ConnectionFlags& connection, bool force) {
  int code = 0;
  std::optional<registry::Connection> there;
  for (const std::string& text : images) {
    try {
      if (!there) there = connection.connection();
      const registry::Reference reference = remote_reference(text, there->conf);
      const layerstore::Digest digest = registry::remove(reference, *there);
      fmt::print("Deleted: {}/{}@{}\n", reference.domain, reference.repository, digest.to_string());
    } catch (const Error& error) {
      if (error.code() == Errc::not_found && force) continue;
      print_error("rmi: " + error.message(), error.hint());
      code = 1;
    }
  }
  return code;
}

int remove_local(const Context& context, const std::vector<std::string>& images, bool force) {
  const auto store = open_existing_store(context);
  const runner::ContainerStore containers = open_containers(context);
  int code = 0;
  for (const std::string& text : images) {
    try {
      if (!store) throw no_image(text, context.root);
      const layerstore::NamedImage image = find_name(*store, text);
      const std::vector<std::string> users = users_of(containers, image.manifest.digest);
      if (!users.empty() && !force && names_of(*store, image.manifest.digest) == 1)
        throw Error::make(Errc::busy, "image '{}' is used by {}", text, join(users, ", "))
            .with_hint("lay rm " + users.front() + ", or lay rmi -f");
      remove_name(*store, containers, image.name);
      fmt::print("Untagged: {}\n", printable(image.name));
    } catch (const Error& error) {
      if (error.code() == Errc::not_found && force) continue;
      print_error("rmi: " + error.message(), error.hint());
      code = 1;
    }
  }
  if (store) collect(*store, containers, Freeing::later);
  return code;
}

}  // namespace

int command_rmi(const Context& context, const Arguments& arguments) {
  std::vector<std::string> images;
  bool force = false;
  ConnectionFlags connection;
  Parser parser("rmi", "[flags] IMAGE …",
                "Removes names, and what no other name or container needs. docker://IMAGE is "
                "deleted in its registry, with all its tags there.");
  parser.add_option("image", images, "images of this store, or docker://IMAGE").required();
  parser.add_flag("-f,--force", force, "even when a container was made from it; not there is no error");
  connection.add_to(parser);
  parser.parse(arguments);
  if (!connection.creds.empty()) require_one_registry(registries_of(images));
  const auto local = std::stable_partition(images.begin(), images.end(), is_remote);
  const int remote_code = remove_remote({images.begin(), local}, connection, force);
  images.erase(images.begin(), local);
  if (images.empty()) return remote_code;
  require_root("rmi");
  const int local_code = remove_local(context, images, force);
  return remote_code != 0 ? remote_code : local_code;
}

}  // namespace lay::cli
