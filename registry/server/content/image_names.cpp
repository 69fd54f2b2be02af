#include "server/content/image_names.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/syscalls.h"
#include "layerstore/manifest.h"
#include "layerstore/media_types.h"
#include "layerstore/rename_images.h"
#include "registry/reference.h"
#include "server/api/request_target.h"

namespace lay::registry::server {

namespace {

using layerstore::Descriptor;
using layerstore::Digest;

struct RepositoryTag {
  std::string repository;
  std::string tag;
};

/// "team/app:1" taken apart; empty when it is no repository and tag.
std::optional<RepositoryTag> split_name(std::string_view name) {
  const std::size_t colon = name.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  RepositoryTag result{std::string(name.substr(0, colon)), std::string(name.substr(colon + 1))};
  if (!is_repository_name(result.repository) || !is_tag(result.tag)) return std::nullopt;
  return result;
}

/// Whether a host stands in front: the name of a pull, or for a push.
bool has_host(const std::string& name) {
  try {
    const Reference reference = parse_reference(name);
    return reference.domain != "docker.io" || name.starts_with("docker.io/") ||
           name.starts_with("index.docker.io/");
  } catch (const Error&) {
    return true;  // no registry could hold that name
  }
}

bool is_same_file(const struct ::stat& left, const struct ::stat& right) {
  return left.st_ino == right.st_ino && left.st_dev == right.st_dev && left.st_size == right.st_size &&
         left.st_mtim.tv_sec == right.st_mtim.tv_sec && left.st_mtim.tv_nsec == right.st_mtim.tv_nsec;
}

}  // namespace

ImageNames::ImageNames(const layerstore::Store& store, std::string authority, LocalNames local)
    : store_(store), authority_(std::move(authority)), local_(local), hidden_(store.path()) {}

std::string ImageNames::name_of(const std::string& repository, const std::string& tag) const {
  return authority_ + "/" + repository + ":" + tag;
}

void ImageNames::add(const layerstore::NamedImage& named) {
  const bool is_pushed = named.name.starts_with(authority_ + "/");
  if (!is_pushed && (local_ == LocalNames::hidden || has_host(named.name))) return;
  const auto name =
      split_name(is_pushed ? std::string_view(named.name).substr(authority_.size() + 1) : named.name);
  if (!name) return;
  if (!is_pushed && hidden_.has(name->repository, name->tag, named.manifest.digest)) return;
  auto& tags = repositories_[name->repository].tags;
  const auto found = tags.find(name->tag);
  if (found != tags.end() && found->second.is_pushed) return;
  tags.insert_or_assign(name->tag, Tag{.descriptor = named.manifest, .is_pushed = is_pushed});
}

/// index.json is replaced as a whole at every change, so another file means other names.
void ImageNames::refresh() {
  const struct ::stat now = sys::stat_at(sys::cwd(), store_.path() + "/index.json");
  if (is_same_file(now, seen_)) return;
  std::map<std::string, Repository> before = std::exchange(repositories_, {});
  seen_ = {};
  const std::vector<layerstore::NamedImage> all = store_.images().list();
  hidden_.remove_if([&](const std::string& name, const Digest& digest) {
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const auto& named) { return named.name == name; });
    return found == all.end() || found->manifest.digest != digest;
  });
  for (const layerstore::NamedImage& named : all) add(named);
  for (auto& [name, repository] : repositories_) {
    const auto old = before.find(name);
    if (old != before.end() && old->second.reach && old->second.reach->is_whole &&
        old->second.tags == repository.tags)
      repository.reach = std::move(old->second.reach);
  }
  count_ = all.size();
  seen_ = now;  // when it changed since, the next call sees that
}

ImageNames::Repository* ImageNames::repository(const std::string& name) {
  refresh();
  const auto found = repositories_.find(name);
  return found == repositories_.end() ? nullptr : &found->second;
}

std::optional<Descriptor> ImageNames::find(const std::string& name, const std::string& tag) {
  const std::lock_guard lock(mutex_);
  const Repository* found = repository(name);
  if (found == nullptr || !found->tags.contains(tag)) return std::nullopt;
  return found->tags.at(tag).descriptor;
}

std::optional<Digest> ImageNames::pushed(const std::string& name, const std::string& tag) {
  const std::lock_guard lock(mutex_);
  const Repository* found = repository(name);
  if (found == nullptr || !found->tags.contains(tag) || !found->tags.at(tag).is_pushed) return std::nullopt;
  return found->tags.at(tag).descriptor.digest;
}

std::vector<std::string> ImageNames::tags(const std::string& name) {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> result;
  if (const Repository* found = repository(name))
    for (const auto& [tag, descriptor] : found->tags) result.push_back(tag);
  return result;
}

std::vector<std::string> ImageNames::repositories() {
  const std::lock_guard lock(mutex_);
  refresh();
  std::vector<std::string> result;
  for (const auto& [name, repository] : repositories_) result.push_back(name);
  return result;
}

/// What is absent leads nowhere: of an index usually one platform was pulled.
void ImageNames::walk(const Descriptor& descriptor, int depth, Reach& reach) const {
  if (depth > layerstore::kMaxIndexDepth) return;
  if (!store_.blobs().has(descriptor.digest)) {
    reach.is_whole = false;
    return;
  }
  if (!reach.manifests.emplace(descriptor.digest, descriptor).second) return;
  const std::string text = store_.blobs().read(descriptor.digest);
  if (layerstore::media_type::is_index(descriptor.media_type)) {
    for (const Descriptor& entry : layerstore::parse_index(text).manifests) walk(entry, depth + 1, reach);
    return;
  }
  const layerstore::Manifest manifest = layerstore::parse_manifest(text);
  reach.blobs.insert(manifest.config.digest);
  for (const Descriptor& layer : manifest.layers)  // whoever names a foreign one does not show that he has it
    if (!layerstore::media_type::is_foreign(layer.media_type)) reach.blobs.insert(layer.digest);
  add_layers(manifest, reach);
}

/// A config that cannot be read pairs nothing: no image can be run by it.
void ImageNames::add_layers(const layerstore::Manifest& manifest, Reach& reach) const {
  if (!layerstore::media_type::is_config(manifest.config.media_type)) return;
  try {
    const auto config = layerstore::parse_image_config(store_.blobs().read(manifest.config.digest));
    for (std::size_t i = 0; i < std::min(config.diff_ids.size(), manifest.layers.size()); ++i) {
      std::vector<BlobPair>& pairs = reach.layers[manifest.layers[i].digest];
      BlobPair pair{manifest.layers[i], config.diff_ids[i]};
      if (std::find(pairs.begin(), pairs.end(), pair) == pairs.end()) pairs.push_back(std::move(pair));
    }
  } catch (const Error&) {
    reach.is_whole = false;
  }
}

const ImageNames::Reach& ImageNames::reach_of(Repository& repository) const {
  if (repository.reach) return *repository.reach;
  Reach reach;
  for (const auto& [name, tag] : repository.tags) {
    try {
      walk(tag.descriptor, 0, reach);
    } catch (const Error&) {
      reach.is_whole = false;  // a damaged image is fsck's to name; the others can be served
    }
  }
  repository.reach = std::move(reach);
  return *repository.reach;
}

std::optional<Descriptor> ImageNames::manifest(const std::string& name, const Digest& digest) {
  if (!store_.blobs().has(digest))
    return std::nullopt;  // a client asks before it pushes: nothing is read for that
  const std::lock_guard lock(mutex_);
  Repository* found = repository(name);
  if (found == nullptr) return std::nullopt;
  const Reach& reach = reach_of(*found);
  const auto manifest = reach.manifests.find(digest);
  if (manifest == reach.manifests.end()) return std::nullopt;
  return manifest->second;
}

bool ImageNames::reaches_blob(const std::string& name, const Digest& digest) {
  const std::lock_guard lock(mutex_);
  Repository* found = repository(name);
  return found != nullptr && reach_of(*found).blobs.contains(digest);
}

std::vector<BlobPair> ImageNames::layers_of(const std::string& name, const Digest& digest) {
  const std::lock_guard lock(mutex_);
  Repository* found = repository(name);
  if (found == nullptr) return {};
  const Reach& reach = reach_of(*found);
  const auto pairs = reach.layers.find(digest);
  return pairs == reach.layers.end() ? std::vector<BlobPair>() : pairs->second;
}

bool ImageNames::has_room(const std::string& name, const std::string& tag) {
  const std::lock_guard lock(mutex_);
  const Repository* found = repository(name);
  if (found != nullptr && found->tags.contains(tag) && found->tags.at(tag).is_pushed) return true;
  return count_ < kMaxStoreNames;
}

bool ImageNames::put(const std::string& repository, const std::string& tag, const Descriptor& manifest) {
  if (!has_room(repository, tag)) return false;
  try {
    store_.images().put(name_of(repository, tag), manifest);
  } catch (const Error& error) {
    if (error.code() != Errc::invalid) throw;
    return false;  // few names, but long entries of others
  }
  return true;
}

void ImageNames::show_local(const std::string& repository, const std::string& tag) {
  const std::lock_guard lock(mutex_);
  if (hidden_.remove(repository, tag)) seen_ = {};
}

void ImageNames::hide_local(const std::string& repository, const std::string& tag) {
  const auto local =
      local_ == LocalNames::served ? store_.images().find(repository + ":" + tag) : std::nullopt;
  if (!local) return;
  const std::lock_guard lock(mutex_);
  hidden_.add(repository, tag, local->digest);
  seen_ = {};
}

void ImageNames::show_tagged(
    const std::function<bool(const std::string& repository, const std::string& tag)>& has_tag) {
  const std::lock_guard lock(mutex_);
  hidden_.remove_if([&](const std::string& text, const Digest&) {
    const auto name = split_name(text);
    return !name || has_tag(name->repository, name->tag) ||
           store_.images().find(name_of(name->repository, name->tag));
  });
  seen_ = {};
}

void ImageNames::remove(const std::string& repository, const std::string& tag, const Digest& manifest) {
  const layerstore::NamedImage named{.name = name_of(repository, tag), .manifest = {.digest = manifest}};
  store_.images().remove_unmoved(std::span(&named, 1));
}

/// The name as it would be if it was pushed under that authority; empty when it was not.
std::optional<std::string> ImageNames::renamed(const std::string& name, const std::string& authority) const {
  if (!name.starts_with(authority + "/")) return std::nullopt;
  const auto parts = split_name(std::string_view(name).substr(authority.size() + 1));
  return parts ? std::optional(name_of(parts->repository, parts->tag)) : std::nullopt;
}

void ImageNames::rename_from(const std::string& authority) {
  if (authority == authority_) return;
  const std::vector<layerstore::NamedImage> all = store_.images().list();
  std::map<std::string, Digest> others;
  for (const layerstore::NamedImage& named : all) others.emplace(named.name, named.manifest.digest);
  for (const layerstore::NamedImage& named : all) {
    const auto name = renamed(named.name, authority);
    const auto other = name ? others.find(*name) : others.end();
    if (other != others.end() && other->second != named.manifest.digest)
      throw Error::make(Errc::exists,
                        "--name: '{}', pushed here, would be '{}', which is another image already",
                        named.name, *name)
          .with_hint("'lay untag' or 'lay rmi' one of them first, which 'lay tag' can give another name");
  }
  layerstore::rename_images(store_, [&](const std::string& old) { return renamed(old, authority); });
}

}  // namespace lay::registry::server
