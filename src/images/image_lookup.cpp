#include "images/image_lookup.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "base/text.h"
#include "flags/options.h"
#include "images/image_place.h"
#include "output/messages.h"
#include "registry/reference.h"

namespace lay::cli {

namespace {

using layerstore::NamedImage;
using layerstore::Store;

constexpr std::string_view kIdPrefix = "sha256:";
constexpr std::size_t kShortestPrefix = 4;

std::optional<FoundImage> find_by_name(const Store& store, const std::vector<std::string>& names) {
  const std::optional<NamedImage> found = store.images().find_first(names);
  if (!found) return std::nullopt;
  return FoundImage{.name = found->name, .image = store.load(found->manifest)};
}

/// The digits of an id; empty when `text` cannot be one.
std::string digits_in(const std::string& text) {
  const std::string hex = text.starts_with(kIdPrefix) ? text.substr(kIdPrefix.size()) : text;
  const bool is_hex = hex.find_first_not_of("0123456789abcdef") == std::string::npos;
  return is_hex && hex.size() >= kShortestPrefix ? hex : std::string();
}

std::optional<FoundImage> find_by_id(const Store& store, const std::string& text) {
  std::vector<FoundImage> found = find_all_by_id(store, text);
  if (found.empty()) return std::nullopt;
  return std::move(found.front());
}

/// Empty when it cannot be read; why is kept of the first such.
std::optional<layerstore::Image> try_load(const Store& store, const NamedImage& named,
                                          std::optional<Error>& unread) {
  try {
    return store.load(named.manifest);
  } catch (Error& error) {
    if (error.code() == Errc::cancelled) throw;
    error.add_context(fmt::format("image '{}'", printable(named.name)));
    if (!unread) unread = error;
    return std::nullopt;
  }
}

/// What podman puts before the name of an image that came from no registry; nothing when `text` names a host.
std::string podman_name(const std::string& text) {
  const bool has_host = registry::parse_reference(text).domain != "docker.io" ||
                        text.starts_with("docker.io/") || text.starts_with("index.docker.io/");
  return has_host ? "" : "localhost/" + text;
}

/// "REPOSITORY@DIGEST", with a tag or without, of an image that has any name of that repository.
std::optional<FoundImage> find_in_repository(const Store& store, const registry::Reference& wanted) {
  for (const NamedImage& named : store.images().list()) {
    if (named.manifest.digest != *wanted.digest) continue;
    const registry::Reference reference = registry::parse_reference(named.name);
    if (reference.domain == wanted.domain && reference.repository == wanted.repository)
      return FoundImage{.name = named.name, .image = store.load(named.manifest), .by = FoundBy::id};
  }
  return std::nullopt;
}

std::optional<FoundImage> find_by_digest(const Store& store, const std::string& text) {
  const registry::Reference wanted = registry::parse_reference(text);
  if (!wanted.digest) return std::nullopt;
  if (const std::string local = podman_name(text); !local.empty())
    if (auto found = find_in_repository(store, registry::parse_reference(local))) return found;
  return find_in_repository(store, wanted);
}

/// The further names that `text` may be stored under, the most literal first. Throws invalid for what cannot
/// be a name.
std::vector<std::string> further_names(const std::string& text) {
  std::vector<std::string> names{registry::local_name(text)};
  if (const std::string local = podman_name(text); !local.empty())
    names.push_back(registry::local_name(local));
  names.push_back(registry::to_string(registry::parse_reference(text)));
  return names;
}

/// All of them, `text` first. Whether it can be a name matters only when it is none.
std::vector<std::string> candidate_names(const std::string& text) {
  std::vector<std::string> names{text};
  try {
    for (std::string& name : further_names(text)) names.push_back(std::move(name));
  } catch (const Error&) {
    // Told when nothing has that name
  }
  return names;
}

}  // namespace

Error no_image(const std::string& text, const std::string& root) {
  return Error::make(Errc::not_found, "no image '{}' in {}", printable(text), root)
      .with_hint("'lay images' lists what is here; 'lay pull' gets one from a registry");
}

std::vector<FoundImage> find_all_by_id(const Store& store, const std::string& text) {
  const std::string hex = digits_in(text);
  std::vector<FoundImage> found;
  if (hex.empty()) return found;
  std::optional<Error> unread;
  for (NamedImage& named : store.images().list()) {
    const auto loaded = try_load(store, named, unread);
    if (!loaded) continue;
    layerstore::Image image = *loaded;
    if (!image.id().hex().starts_with(hex) && !image.descriptor.digest.hex().starts_with(hex)) continue;
    if (!found.empty() && found.front().image.id() != image.id())
      throw Error::make(Errc::invalid, "image id '{}' fits several images", text)
          .with_hint("give more digits of it");
    found.push_back({.name = std::move(named.name), .image = std::move(image), .by = FoundBy::id});
  }
  if (found.empty() && unread) throw *unread;
  return found;
}

std::optional<FoundImage> try_find_image(const Store& store, const std::string& text) {
  if (digits_in(text).empty()) {
    if (auto found = find_by_name(store, candidate_names(text))) return found;
    return find_by_digest(store, text);  // says why it can be no name
  }
  if (text.starts_with(kIdPrefix)) return find_by_id(store, text);
  if (auto found = find_by_name(store, {text})) return found;
  if (auto found = find_by_id(store, text)) return found;
  return find_by_name(store, further_names(text));
}

FoundImage find_image(const Store& store, const std::string& text) {
  if (auto found = try_find_image(store, text)) return std::move(*found);
  throw no_image(text, store.path());
}

FoundImage pull_image(const Store& store, const std::string& text, const registry::PullRequest& how,
                      Progress& progress) {
  const std::vector<registry::Reference> meant = remote_references(text, how.connection.conf);
  if (how.connection.credentials) require_one_registry(registries_of(meant));
  for (std::size_t i = 0;; ++i) {
    registry::PullRequest request = how;
    request.reference = meant[i];
    request.warn = print_note;
    registry::Reference stored = meant[i];
    if (stored.digest) stored.tag.clear();  // the tag may lead elsewhere tomorrow
    const std::string whole = registry::to_string(stored);
    try {
      return {.name = whole, .image = registry::pull(store, request, whole, progress)};
    } catch (Error& error) {
      if (i + 1 == meant.size() || error.code() == Errc::cancelled) {
        if (meant.size() > 1) error.add_context(whole);
        throw;
      }
    }
  }
}

Store open_store_with(const Context& context, const std::string& image) {
  if (auto store = open_existing_store(context)) return std::move(*store);
  throw no_image(image, context.root);
}

Store open_store_to_pull(const Context& context, const std::string& image,
                         const registry::Connection& connection) {
  if (auto store = open_existing_store(context)) return std::move(*store);
  remote_references(image, connection.conf);
  return open_store(context);
}

}  // namespace lay::cli
