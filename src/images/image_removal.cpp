#include "images/image_removal.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "base/error.h"
#include "base/text.h"
#include "context.h"
#include "images/image_lookup.h"
#include "layerstore/make_room.h"
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

/// A name is removed by writing the index anew, for which a full disk may have no room. False when the name
/// leads to another image by now, which nobody has asked to remove.
bool remove_name(const layerstore::Store& store, const runner::ContainerStore& containers,
                 const layerstore::NamedImage& image) {
  const auto remove = [&] { return !store.images().remove_unmoved(std::span(&image, 1)).empty(); };
  try {
    return remove();
  } catch (const Error& error) {
    const auto in_use = [&] { return in_use_by(store, containers); };
    if (error.code() != Errc::no_space || !drop_layers_of(store, image, in_use)) throw;
    return remove();
  }
}

}  // namespace

RemovedNames remove_image(const layerstore::Store& store, const runner::ContainerStore& containers,
                          const std::string& text, Force force,
                          const std::optional<layerstore::Digest>& only) {
  std::vector<layerstore::NamedImage> images = find_names(store, text);
  RemovedNames names;
  if (only)
    std::erase_if(images, [&](const layerstore::NamedImage& image) {
      if (image.manifest.digest == *only) return false;
      names.left.push_back(image.name);
      return true;
    });
  if (images.size() > 1 && force == Force::no) refuse_several(text, images);
  if (force == Force::no) refuse_used(store, containers, text, images);
  for (layerstore::NamedImage& image : images)
    if (remove_name(store, containers, image))
      names.removed.push_back(std::move(image));
    else
      names.left.push_back(std::move(image.name));
  return names;
}

std::string moved_meanwhile(const std::string& name) {
  return fmt::format("'{}' was removed or given to another image meanwhile", printable(name));
}

}  // namespace lay::cli
