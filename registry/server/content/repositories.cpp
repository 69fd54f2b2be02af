#include "server/content/repositories.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/folder_names.h"
#include "base/remove_tree.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "server/api/request_target.h"
#include "server/content/folders.h"
#include "server/content/record_json.h"

namespace lay::registry::server {

namespace {

using layerstore::Digest;

constexpr const char* kRepositories = "repositories";
constexpr const char* kBlobs = "blobs";
constexpr const char* kManifests = "manifests";
constexpr const char* kReferrers = "referrers";
constexpr const char* kTags = "tags";
constexpr std::size_t kMaxRecord = 8 * 1024 * 1024;

/// A repository is one folder: '+' stands for '/', since no name holds it.
std::string folder_name(std::string repository) {
  std::replace(repository.begin(), repository.end(), '/', '+');
  return repository;
}

std::string repository_of(std::string folder) {
  std::replace(folder.begin(), folder.end(), '+', '/');
  return folder;
}

std::vector<Link> links_in(const UniqueFd& folder) {
  std::vector<Link> result;
  for (const std::string& name : list_visible_names(folder)) {
    const auto digest = Digest::try_parse(name);
    const auto status = digest ? sys::try_stat_at(folder, name) : std::nullopt;
    if (status) result.push_back({*digest, std::chrono::system_clock::from_time_t(status->st_mtim.tv_sec)});
  }
  return result;
}

std::optional<std::string> try_read(const UniqueFd& folder, const std::string& name) {
  const auto file = sys::try_open_at(folder, name, O_RDONLY | O_NOFOLLOW);
  if (!file) return std::nullopt;
  return sys::read_all(*file, kMaxRecord);
}

/// False when there was none. Durable.
bool remove_file(const UniqueFd& folder, const std::string& name) {
  if (!sys::try_unlink_at(folder, name)) return false;
  sys::fsync(folder);
  return true;
}

void make_empty_file(const UniqueFd& folder, const std::string& name) {
  sys::open_at(folder, name, O_WRONLY | O_CREAT | O_NOFOLLOW, 0600);
  sys::fsync(folder);
}

void touch(const UniqueFd& folder, const std::string& name) {
  if (::utimensat(folder.get(), name.c_str(), nullptr, AT_SYMLINK_NOFOLLOW) != 0 && errno != ENOENT)
    throw Error::from_errno("note the use of '{}'", name);
}

std::optional<UniqueFd> try_open_dir(const UniqueFd& parent, const std::string& name) {
  return sys::try_open_at(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

/// Half-written files are nothing.
bool is_empty(const UniqueFd& folder) {
  bool result = true;
  visit_names(folder, [&](std::string_view name) { return result = name.starts_with('.'); });
  return result;
}

ManifestRecord parse_stored(const std::string& name, const std::string& text) {
  try {
    return parse_manifest_record(text);
  } catch (Error& error) {
    throw Error(Errc::corrupt, "the registry's record of " + name + ": " + error.message())
        .with_hint("push that image again, which writes it anew");
  }
}

void note_needed(const UniqueFd& repository, std::set<Digest>& needed) {
  if (const auto folder = try_open_dir(repository, kBlobs))
    for (const Link& link : links_in(*folder)) needed.insert(link.digest);
  const auto folder = try_open_dir(repository, kManifests);
  if (!folder) return;
  for (const Link& link : links_in(*folder)) {
    const std::string name = link.digest.to_string();
    const auto text = try_read(*folder, name);
    if (!text) continue;  // it was removed just now
    const ManifestRecord record = parse_stored(name, *text);
    needed.insert(link.digest);
    needed.insert(record.refers_to.begin(), record.refers_to.end());
  }
}

}  // namespace

Repositories::Repositories(const UniqueFd& root) : folder_(make_folder(root, kRepositories)) {}

std::vector<std::string> Repositories::list() const {
  std::vector<std::string> result;
  for (const std::string& name : list_visible_names(folder_))
    if (std::string repository = repository_of(name); is_repository_name(repository))
      result.push_back(std::move(repository));
  std::sort(result.begin(), result.end());
  return result;
}

std::vector<std::string> Repositories::list_some(std::size_t limit) const {
  std::vector<std::string> result;
  visit_names(folder_, [&](std::string_view name) {
    if (std::string repository = repository_of(std::string(name)); is_repository_name(repository))
      result.push_back(std::move(repository));
    return result.size() < limit;
  });
  return result;
}

bool Repositories::exists(const std::string& repository) const {
  return sys::try_stat_at(folder_, folder_name(repository)).has_value();
}

std::array<std::chrono::system_clock::time_point, 3> Repositories::change_times(
    const std::string& repository) const {
  const auto time_of = [&](const char* part) {
    const auto status = sys::try_stat_at(folder_, folder_name(repository) + "/" + part);
    if (!status) return std::chrono::system_clock::time_point{};
    return std::chrono::system_clock::from_time_t(status->st_mtim.tv_sec) +
           std::chrono::nanoseconds(status->st_mtim.tv_nsec);
  };
  return {time_of(kBlobs), time_of(kManifests), time_of(kTags)};
}

/// What is left in referrers/ counts for nothing without the manifests.
void Repositories::remove_if_empty(const std::string& repository) const {
  for (const char* part : {kBlobs, kManifests, kTags})
    if (const auto folder = try_open_part(repository, part); folder && !is_empty(*folder)) return;
  remove_tree(folder_, folder_name(repository));
  sys::fsync(folder_);
}

void Repositories::make(const std::string& repository) const {
  const UniqueFd folder = make_folder(folder_, folder_name(repository));
  for (const char* part : {kBlobs, kManifests, kReferrers, kTags}) make_folder(folder, part);
}

std::optional<UniqueFd> Repositories::try_open_part(const std::string& repository,
                                                    const std::string& part) const {
  return try_open_dir(folder_, folder_name(repository) + "/" + part);
}

UniqueFd Repositories::open_part(const std::string& repository, const std::string& part) const {
  if (auto folder = try_open_part(repository, part)) return std::move(*folder);
  make(repository);
  return sys::open_dir(folder_, folder_name(repository) + "/" + part);
}

bool Repositories::has_blob(const std::string& repository, const Digest& digest) const {
  return sys::try_stat_at(folder_, folder_name(repository) + "/" + kBlobs + "/" + digest.to_string())
      .has_value();
}

void Repositories::link_blob(const std::string& repository, const Digest& digest) const {
  const UniqueFd folder = open_part(repository, kBlobs);
  make_empty_file(folder, digest.to_string());
  touch(folder, digest.to_string());
}

void Repositories::touch_blob(const std::string& repository, const Digest& digest) const {
  if (const auto folder = try_open_part(repository, kBlobs)) touch(*folder, digest.to_string());
}

bool Repositories::unlink_blob(const std::string& repository, const Digest& digest) const {
  const auto folder = try_open_part(repository, kBlobs);
  return folder && remove_file(*folder, digest.to_string());
}

std::vector<Link> Repositories::blobs(const std::string& repository) const {
  const auto folder = try_open_part(repository, kBlobs);
  return folder ? links_in(*folder) : std::vector<Link>{};
}

std::optional<ManifestRecord> Repositories::manifest(const std::string& repository,
                                                     const Digest& digest) const {
  const auto folder = try_open_part(repository, kManifests);
  const auto text = folder ? try_read(*folder, digest.to_string()) : std::nullopt;
  if (!text) return std::nullopt;
  return parse_stored(digest.to_string(), *text);
}

/// The referrer's entry goes before the record: it counts only where the record is there as well.
void Repositories::put_manifest(const std::string& repository, const ManifestRecord& record) const {
  const std::string name = record.descriptor.digest.to_string();
  const UniqueFd folder = open_part(repository, kManifests);
  if (record.subject)
    make_empty_file(make_folder(open_part(repository, kReferrers), record.subject->to_string()), name);
  replace_file(folder, name, write_record(record));
}

void Repositories::touch_manifest(const std::string& repository, const Digest& digest) const {
  if (const auto folder = try_open_part(repository, kManifests)) touch(*folder, digest.to_string());
}

bool Repositories::remove_manifest(const std::string& repository, const Digest& digest) const {
  std::optional<ManifestRecord> record;
  try {
    record = manifest(repository, digest);
  } catch (const Error&) {
    // Damaged: it goes all the same, and its entry among the referrers counts for nothing without it
  }
  const auto folder = try_open_part(repository, kManifests);
  if (!folder || !remove_file(*folder, digest.to_string())) return false;
  if (record && record->subject)
    if (const auto part = try_open_part(repository, kReferrers))
      if (const auto referrers = try_open_dir(*part, record->subject->to_string()))
        sys::try_unlink_at(*referrers, digest.to_string());
  return true;
}

std::vector<Link> Repositories::manifests(const std::string& repository) const {
  const auto folder = try_open_part(repository, kManifests);
  return folder ? links_in(*folder) : std::vector<Link>{};
}

std::vector<Link> Repositories::referrers(const std::string& repository, const Digest& digest) const {
  const auto part = try_open_part(repository, kReferrers);
  const auto folder = part ? try_open_dir(*part, digest.to_string()) : std::nullopt;
  return folder ? links_in(*folder) : std::vector<Link>{};
}

std::optional<TagRecord> Repositories::tag(const std::string& repository, const std::string& tag) const {
  const auto folder = try_open_part(repository, kTags);
  const auto text = folder ? try_read(*folder, tag) : std::nullopt;
  if (!text) return std::nullopt;
  return with_context("the registry's record of tag " + tag, [&] { return parse_tag_record(*text); });
}

void Repositories::put_tag(const std::string& repository, const std::string& tag,
                           const TagRecord& record) const {
  replace_file(open_part(repository, kTags), tag, write_record(record));
}

bool Repositories::remove_tag(const std::string& repository, const std::string& tag) const {
  const auto folder = try_open_part(repository, kTags);
  return folder && remove_file(*folder, tag);
}

std::vector<std::string> Repositories::tags(const std::string& repository) const {
  const auto folder = try_open_part(repository, kTags);
  return folder ? list_visible_names(*folder) : std::vector<std::string>{};
}

bool comes_before(std::string_view first, std::string_view second) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  const auto [one, other] = std::ranges::mismatch(first, second, {}, lower, lower);
  if (one == first.end() || other == second.end())
    return first.size() == second.size() ? first < second : first.size() < second.size();
  return std::char_traits<char>::lt(lower(*one), lower(*other));
}

std::vector<std::string> Repositories::tags_behind(const std::string& repository,
                                                   const std::string& last) const {
  std::vector<std::string> result;
  if (const auto folder = try_open_part(repository, kTags))
    visit_names(*folder, [&](std::string_view name) {
      if (comes_before(last, name) && !name.starts_with('.')) result.emplace_back(name);
      return true;
    });
  return result;
}

std::set<Digest> blobs_needed_by(const UniqueFd& registry_folder) {
  std::set<Digest> needed;
  const auto repositories = try_open_dir(registry_folder, kRepositories);
  if (!repositories) return needed;
  for (const std::string& name : list_visible_names(*repositories))
    if (const auto repository = try_open_dir(*repositories, name)) note_needed(*repository, needed);
  return needed;
}

}  // namespace lay::registry::server
