#include "server/content/hidden_names.h"

#include <fcntl.h>

#include <utility>
#include <vector>

#include "base/atomic_file.h"
#include "base/folder_names.h"
#include "base/syscalls.h"
#include "server/content/folders.h"

namespace lay::registry::server {

namespace {

using layerstore::Digest;

constexpr const char* kRegistry = "registry";
constexpr const char* kFolder = "hidden";
constexpr std::size_t kMaxRecord = 1024;

std::string name_of(const std::string& repository, const std::string& tag) {
  return repository + ":" + tag;
}

/// A repository and a tag together may be longer than the name of a file.
std::string file_of(const std::string& name) {
  return layerstore::digest_of(name).hex();
}

struct Record {
  Digest digest;
  std::string name;
};

std::optional<Record> try_read(const UniqueFd& folder, const std::string& file) {
  const auto opened = sys::try_open_at(folder, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!opened) return std::nullopt;
  const std::string text = sys::read_all(*opened, kMaxRecord);
  const std::size_t space = text.find(' ');
  const auto digest = Digest::try_parse(text.substr(0, space));
  if (!digest || space == std::string::npos) return std::nullopt;
  return Record{.digest = *digest, .name = text.substr(space + 1)};
}

std::optional<UniqueFd> try_open(const std::string& root) {
  const std::string folder = root + "/" + kRegistry + "/" + kFolder;
  return sys::try_open_at(sys::cwd(), folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

}  // namespace

HiddenNames::HiddenNames(const std::string& root) : root_(root) {
  const auto folder = try_open(root_);
  if (!folder) return;
  for (const std::string& file : list_visible_names(*folder))
    if (auto record = try_read(*folder, file)) digests_.emplace(std::move(record->name), record->digest);
}

bool HiddenNames::has(const std::string& repository, const std::string& tag, const Digest& digest) const {
  if (digests_.empty()) return false;
  const auto found = digests_.find(name_of(repository, tag));
  return found != digests_.end() && found->second == digest;
}

void HiddenNames::add(const std::string& repository, const std::string& tag, const Digest& digest) {
  const std::string name = name_of(repository, tag);
  const UniqueFd registry = make_folder(sys::open_dir(sys::cwd(), root_), kRegistry);
  replace_file(make_folder(registry, kFolder), file_of(name), digest.to_string() + " " + name);
  digests_.insert_or_assign(name, digest);
}

bool HiddenNames::remove(const std::string& repository, const std::string& tag) {
  const std::string name = name_of(repository, tag);
  if (!digests_.contains(name)) return false;
  forget(name);
  return true;
}

void HiddenNames::remove_if(
    const std::function<bool(const std::string& name, const Digest& digest)>& is_over) {
  std::vector<std::string> names;
  for (const auto& [name, digest] : digests_)
    if (is_over(name, digest)) names.push_back(name);
  for (const std::string& name : names) forget(name);
}

void HiddenNames::forget(const std::string& name) {
  if (const auto folder = try_open(root_)) sys::try_unlink_at(*folder, file_of(name));
  digests_.erase(name);
}

}  // namespace lay::registry::server
