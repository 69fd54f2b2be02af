#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "command.h"
#include "flags/options.h"
#include "images/image_lookup.h"
#include "images/image_removal.h"
#include "output/messages.h"

namespace lay::cli {

namespace {

using Names = std::vector<std::string>;

Names names_of(const layerstore::Store& store, const layerstore::Digest& manifest) {
  Names names;
  for (const layerstore::NamedImage& named : store.images().list())
    if (named.manifest.digest == manifest) names.push_back(named.name);
  return names;
}

/// The name as it is stored. Throws not_found for one of another image.
std::string name_of_image(const layerstore::Store& store, const FoundImage& found, const std::string& text) {
  const layerstore::Digest& manifest = found.image.descriptor.digest;
  const auto named = try_find_image(store, text);
  if (named && named->by == FoundBy::name && named->image.descriptor.digest == manifest) return named->name;
  throw Error::make(Errc::not_found, "'{}' is no name of the image", printable(text))
      .with_hint("it has " + printable(join(names_of(store, manifest), ", ")));
}

/// "team/app" of "team/app:1" and "team/app@sha256:…".
std::string repository_of(const std::string& name) {
  const std::string tagged = name.substr(0, name.find('@'));
  const std::size_t slash = tagged.rfind('/');
  const std::size_t colon = tagged.rfind(':');
  const bool has_tag = colon != std::string::npos && (slash == std::string::npos || colon > slash);
  return has_tag ? tagged.substr(0, colon) : tagged;
}

std::string name_by_digest(const std::string& name, const layerstore::Digest& manifest) {
  return repository_of(name) + "@" + manifest.to_string();
}

/// What has no name is removed by the next collection: an image that would lose all of them gets its digest
/// for one, or keeps it. Returns the names that may go.
Names keep_by_digest(const layerstore::Store& store, const layerstore::Descriptor& manifest, Names leaving) {
  const Names names = names_of(store, manifest.digest);
  const auto leaves = [&](const std::string& name) {
    return std::ranges::find(leaving, name) != leaving.end();
  };
  if (names.empty())
    throw Error(Errc::not_found, "somebody has just taken its last name").with_hint("lay images");
  if (!std::ranges::all_of(names, leaves)) return leaving;
  const std::string last = name_by_digest(leaving.front(), manifest.digest);
  if (std::erase(leaving, last) == 0) store.images().put(last, manifest);
  if (leaving.empty())
    throw Error::make(Errc::invalid, "'{}' is the last name of the image", printable(last))
        .with_hint("lay rmi removes it, and the image with it");
  return leaving;
}

void remove_names(const layerstore::Store& store, const layerstore::Descriptor& manifest,
                  const Names& leaving) {
  std::vector<layerstore::NamedImage> images;
  for (const std::string& name : leaving) images.push_back({.name = name, .manifest = manifest});
  const Names gone = store.images().remove_unmoved(images);
  for (const std::string& name : leaving)  // what leads to another image by now is not this one's
    if (std::ranges::find(gone, name) == gone.end())
      print_note(moved_meanwhile(name));
    else
      fmt::print("Untagged: {}\n", printable(name));
  // Others may have taken the names that were to stay. Whoever comes last sees that none is left.
  if (names_of(store, manifest.digest).empty())
    store.images().put(name_by_digest(leaving.front(), manifest.digest), manifest);
}

}  // namespace

int command_untag(const Context& context, const Arguments& arguments) {
  std::string image;
  Names texts;
  Parser parser(
      "untag", "IMAGE [NAME[:TAG] …]",
      "Takes these names from an image, or all. The image itself stays: without any it is listed by its "
      "digest.");
  parser.add_option("image", image, "image of this store").required();
  parser.add_option("name", texts, "one of its names");
  parser.parse(arguments);
  require_root("untag");
  return with_context("untag", [&] {
    const layerstore::Store store = open_store_with(context, image);
    const FileLock lock = store.share();  // nothing is collected before it has its last name
    const FoundImage found = find_image(store, image);
    Names leaving;
    for (const std::string& text : texts) leaving.push_back(name_of_image(store, found, text));
    if (texts.empty()) leaving = names_of(store, found.image.descriptor.digest);
    const layerstore::Descriptor& manifest = found.image.descriptor;
    remove_names(store, manifest, keep_by_digest(store, manifest, std::move(leaving)));
    return 0;
  });
}

}  // namespace lay::cli
