#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "command.h"
#include "flags/options.h"
#include "images/image_lookup.h"
#include "images/image_place.h"
#include "layerstore/make_room.h"
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

/// Whether the image has names beside those that are removed.
bool is_named_elsewhere(const layerstore::Store& store, const std::vector<layerstore::NamedImage>& removed,
                        const layerstore::Digest& manifest) {
  const auto is_kept = [&](const layerstore::NamedImage& named) {
    return named.manifest.digest == manifest &&
           std::none_of(removed.begin(), removed.end(),
                        [&](const layerstore::NamedImage& other) { return other.name == named.name; });
  };
  const std::vector<layerstore::NamedImage> all = store.images().list();
  return std::any_of(all.begin(), all.end(), is_kept);
}

/// The names that `text` stands for: one, or of an id all that lead to it. A name is found first and without
/// reading the image, so that a damaged image can be removed too.
std::vector<layerstore::NamedImage> find_names(const layerstore::Store& store, const std::string& text) {
  const bool may_be_name = !text.starts_with("sha256:");
  if (const auto manifest = may_be_name ? store.images().find(text) : std::nullopt)
    return {{.name = text, .manifest = *manifest}};
  const FoundImage found = find_image(store, text);
  std::vector<layerstore::NamedImage> names;
  if (found.by == FoundBy::id)
    for (const FoundImage& one : find_all_by_id(store, text))
      names.push_back({.name = one.name, .manifest = one.image.descriptor});
  // By its name, or by the digest that stands behind the name of its repository
  if (names.empty()) names.push_back({.name = found.name, .manifest = found.image.descriptor});
  return names;
}

void refuse_several(const std::string& text, const std::vector<layerstore::NamedImage>& images) {
  std::vector<std::string> names;
  for (const layerstore::NamedImage& image : images) names.push_back(printable(image.name));
  throw Error::make(Errc::busy, "image '{}' has several names: {}", text, join(names, ", "))
      .with_hint("lay rmi " + names.front() + " removes that one, lay rmi -f all");
}

void refuse_used(const layerstore::Store& store, const runner::ContainerStore& containers,
                 const std::string& text, const std::vector<layerstore::NamedImage>& images) {
  for (const layerstore::NamedImage& image : images) {
    const std::vector<std::string> users = users_of(containers, image.manifest.digest);
    if (!users.empty() && !is_named_elsewhere(store, images, image.manifest.digest))
      throw Error::make(Errc::busy, "image '{}' is used by {}", text, join(users, ", "))
          .with_hint("lay rm " + users.front() + ", or lay rmi -f");
  }
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

void remove_image(const layerstore::Store& store, const runner::ContainerStore& containers,
                  const std::string& text, bool force) {
  const std::vector<layerstore::NamedImage> images = find_names(store, text);
  if (images.size() > 1 && !force) refuse_several(text, images);
  if (!force) refuse_used(store, containers, text, images);
  for (const layerstore::NamedImage& image : images) {
    remove_name(store, containers, image.name);
    fmt::print("Untagged: {}\n", printable(image.name));
  }
}

int remove_local(const Context& context, const std::vector<std::string>& images, bool force) {
  const auto store = open_existing_store(context);
  const runner::ContainerStore containers = open_containers(context);
  int code = 0;
  for (const std::string& text : images) {
    try {
      if (!store) throw no_image(text, context.root);
      remove_image(*store, containers, text, force);
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
                "Removes names, and what no other name or container needs. An id with several names "
                "needs -f, and loses them all. docker://IMAGE is deleted in its registry, with all its "
                "tags there.");
  parser.add_option("image", images, "images of this store, or docker://IMAGE").required();
  parser.add_flag(
      "-f,--force", force,
      "even when a container was made from it, or an id has several names; not there is no error");
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
