#include "server/content/expiry.h"

#include <algorithm>
#include <utility>

namespace lay::registry::server {

namespace {

using layerstore::Digest;
using std::chrono::system_clock;

/// What of a manifest's record decides what it keeps.
struct Known {
  std::vector<Digest> refers_to;
  std::optional<Digest> subject;
};
using Records = std::map<Digest, Known>;

/// Reads the records that are not there yet; those whose manifest is gone go. A digest's record never changes
/// in what is read here.
void update(Records& records, const Registry& registry, const std::string& repository,
            const std::vector<Link>& links) {
  Records before = std::exchange(records, {});
  for (const Link& link : links) {
    if (const auto found = before.find(link.digest); found != before.end())
      records.insert(before.extract(found));
    else if (auto record = registry.repositories.manifest(repository, link.digest))
      records.emplace(link.digest, Known{std::move(record->refers_to), std::move(record->subject)});
  }
}

/// Who is kept: what a kept manifest refers to, and what has a kept one for its subject.
class Keeper {
 public:
  explicit Keeper(const Records& records) : records_(records) {
    for (const auto& [digest, known] : records)
      if (known.subject) referrers_.emplace(*known.subject, digest);
  }

  /// Adds the manifest and all that it leads to. Not recursive: clients decide how deep indexes are nested.
  void keep(const Digest& digest) {
    std::vector<Digest> open{digest};
    while (!open.empty()) {
      const auto found = records_.find(open.back());
      open.pop_back();
      if (found == records_.end() || !kept_.insert(found->first).second) continue;
      open.insert(open.end(), found->second.refers_to.begin(), found->second.refers_to.end());
      const auto [first, last] = referrers_.equal_range(found->first);
      for (auto referrer = first; referrer != last; ++referrer) open.push_back(referrer->second);
    }
  }
  const std::set<Digest>& kept() const { return kept_; }

 private:
  const Records& records_;
  std::multimap<Digest, Digest> referrers_;  ///< by subject
  std::set<Digest> kept_;
};

/// What the store's names say of a repository, by tag.
std::map<std::string, Digest> names_of(ImageNames& names, const std::string& repository) {
  std::map<std::string, Digest> result;
  for (const std::string& tag : names.tags(repository))
    if (const auto manifest = names.find(repository, tag)) result.emplace(tag, manifest->digest);
  return result;
}

void keep_tagged(Registry& registry, const std::string& repository, Keeper& keeper) {
  for (const std::string& tag : registry.repositories.tags(repository))
    if (const auto record = registry.repositories.tag(repository, tag)) keeper.keep(record->digest);
  for (const auto& [tag, digest] : names_of(registry.names, repository)) keeper.keep(digest);
}

/// Unlinks the blobs that no kept manifest needs and nobody used lately; returns when the next of them is
/// due.
system_clock::time_point expire_blobs(const Registry& registry, const std::string& repository,
                                      const std::set<Digest>& needed, std::chrono::seconds age,
                                      system_clock::time_point now) {
  auto due = system_clock::time_point::max();
  for (const Link& link : registry.repositories.blobs(repository)) {
    if (needed.contains(link.digest)) continue;
    if (now - link.used >= age)
      registry.repositories.unlink_blob(repository, link.digest);
    else
      due = std::min(due, link.used + age);
  }
  return due;
}

/// The names can be moved by other processes, which touch no record: so what had a name at the last look was
/// in use then, whatever became of the name.
void touch_named(const Registry& registry, const std::string& repository,
                 const std::map<std::string, Digest>& names) {
  std::set<Digest> named;
  for (const auto& [tag, digest] : names) named.insert(digest);
  for (const Digest& digest : named) registry.repositories.touch_manifest(repository, digest);
}

}  // namespace

system_clock::time_point expire_links(Registry& registry, const std::string& repository,
                                      const Retention& retention, system_clock::time_point now) {
  Records records;  // most are read while others can push
  update(records, registry, repository, registry.repositories.manifests(repository));
  const auto lock = registry.changing.hold(repository);
  const std::vector<Link> links = registry.repositories.manifests(repository);
  update(records, registry, repository, links);

  auto due = system_clock::time_point::max();
  Keeper keeper(records);
  keep_tagged(registry, repository, keeper);
  for (const Link& link : links) {
    if (!retention.keeps_untagged && now - link.used >= retention.untagged) continue;
    keeper.keep(link.digest);
    if (!retention.keeps_untagged) due = std::min(due, link.used + retention.untagged);
  }
  std::set<Digest> needed;
  for (const auto& [digest, known] : records)
    if (keeper.kept().contains(digest))
      needed.insert(known.refers_to.begin(), known.refers_to.end());
    else
      registry.repositories.remove_manifest(repository, digest);
  due = std::min(due, expire_blobs(registry, repository, needed, retention.unused_blobs, now));
  registry.repositories.remove_if_empty(repository);
  return due;
}

Expiry::Expiry(Registry& registry, const Retention& retention) : registry_(registry), retention_(retention) {}

bool Expiry::look_at(const std::string& repository, system_clock::time_point now) {
  State state{.changed = registry_.repositories.change_times(repository),
              .names = names_of(registry_.names, repository)};
  if (!retention_.keeps_untagged) touch_named(registry_, repository, state.names);
  const auto found = seen_.find(repository);
  if (found != seen_.end() && found->second.state == state && now < found->second.due) return false;
  seen_.erase(repository);
  const auto due = expire_links(registry_, repository, retention_, now);
  // Times of files are coarse: two changes shortly after each other may have the same
  constexpr std::chrono::seconds kCoarse{2};
  const bool is_settled = std::all_of(state.changed.begin(), state.changed.end(),
                                      [&](system_clock::time_point time) { return now - time > kCoarse; });
  if (is_settled) seen_.emplace(repository, Seen{.state = std::move(state), .due = due});
  return true;
}

void Expiry::forget_all_but(const std::vector<std::string>& repositories) {
  std::erase_if(seen_, [&](const auto& entry) {
    return !std::binary_search(repositories.begin(), repositories.end(), entry.first);
  });
}

}  // namespace lay::registry::server
