#include "server/content/hidden_names.h"

#include <fcntl.h>

#include <algorithm>
#include <vector>

#include "base/atomic_file.h"
#include "base/folder_names.h"
#include "base/syscalls.h"

namespace lay::registry::server {

namespace {

using layerstore::Digest;

constexpr std::size_t kMaxDigest = 256;

/// '+' stands for '/', since no name holds it.
std::string file_of(const std::string& repository, const std::string& tag) {
  std::string file = repository + ":" + tag;
  std::replace(file.begin(), file.end(), '/', '+');
  return file;
}

std::string name_of(std::string file) {
  std::replace(file.begin(), file.end(), '+', '/');
  return file;
}

std::optional<UniqueFd> try_open(const std::string& folder) {
  return sys::try_open_at(sys::cwd(), folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

}  // namespace

HiddenNames::HiddenNames(const std::string& root) : folder_(root + "/registry/hidden") {
  const auto folder = try_open(folder_);
  if (!folder) return;
  for (const std::string& file : list_visible_names(*folder)) {
    const auto opened = sys::try_open_at(*folder, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    const auto digest = opened ? Digest::try_parse(sys::read_all(*opened, kMaxDigest)) : std::nullopt;
    if (digest) digests_.emplace(file, *digest);
  }
}

bool HiddenNames::has(const std::string& repository, const std::string& tag, const Digest& digest) const {
  if (digests_.empty()) return false;
  const auto found = digests_.find(file_of(repository, tag));
  return found != digests_.end() && found->second == digest;
}

void HiddenNames::add(const std::string& repository, const std::string& tag, const Digest& digest) {
  const std::string file = file_of(repository, tag);
  sys::try_mkdir_at(sys::cwd(), folder_, 0700);
  replace_file(sys::open_dir(sys::cwd(), folder_), file, digest.to_string());
  digests_.insert_or_assign(file, digest);
}

bool HiddenNames::remove(const std::string& repository, const std::string& tag) {
  const std::string file = file_of(repository, tag);
  if (!digests_.contains(file)) return false;
  forget(file);
  return true;
}

void HiddenNames::keep_valid(const std::function<std::optional<Digest>(const std::string& name)>& find) {
  std::vector<std::string> files;
  for (const auto& [file, digest] : digests_)
    if (find(name_of(file)) != digest) files.push_back(file);
  for (const std::string& file : files) forget(file);
}

void HiddenNames::forget(const std::string& file) {
  if (const auto folder = try_open(folder_)) sys::try_unlink_at(*folder, file);
  digests_.erase(file);
}

}  // namespace lay::registry::server
