#include "server/janitor.h"

#include <map>
#include <set>
#include <utility>

#include "base/error.h"

namespace lay::registry::server {

namespace {

using layerstore::Digest;
using Records = std::map<Digest, ManifestRecord>;

Records records_of(const Registry& registry, const std::string& repository) {
  Records records;
  for (const Link& link : registry.repositories.manifests(repository))
    if (auto record = registry.repositories.manifest(repository, link.digest))
      records.emplace(link.digest, std::move(*record));
  return records;
}

/// Adds the manifest and all that it leads to. Not recursive: clients decide how deep indexes are nested.
void keep(const Records& records, const Digest& digest, std::set<Digest>& kept) {
  std::vector<Digest> open{digest};
  while (!open.empty()) {
    const auto found = records.find(open.back());
    open.pop_back();
    if (found == records.end() || !kept.insert(found->first).second) continue;
    open.insert(open.end(), found->second.refers_to.begin(), found->second.refers_to.end());
  }
}

std::set<Digest> tagged(Registry& registry, const std::string& repository, const Records& records) {
  std::set<Digest> kept;
  for (const std::string& tag : registry.repositories.tags(repository))
    if (const auto record = registry.repositories.tag(repository, tag)) keep(records, record->digest, kept);
  for (const std::string& tag : registry.names.tags(repository))
    if (const auto manifest = registry.names.find(repository, tag)) keep(records, manifest->digest, kept);
  return kept;
}

/// Adds what refers to something kept, until nothing more does.
void keep_referrers(const Records& records, std::set<Digest>& kept) {
  for (std::size_t before = 0; before != kept.size();) {
    before = kept.size();
    for (const auto& [digest, record] : records)
      if (record.subject && kept.contains(*record.subject)) keep(records, digest, kept);
  }
}

}  // namespace

void expire_links(Registry& registry, const std::string& repository, const Retention& retention,
                  std::chrono::system_clock::time_point now) {
  const auto lock = registry.changing.hold(repository);
  Records records = records_of(registry, repository);
  std::set<Digest> kept = tagged(registry, repository, records);
  for (const Link& link : registry.repositories.manifests(repository))
    if (retention.keeps_untagged || now - link.used < retention.untagged) keep(records, link.digest, kept);
  keep_referrers(records, kept);
  for (const auto& [digest, record] : records)
    if (!kept.contains(digest)) registry.repositories.remove_manifest(repository, digest);

  std::set<Digest> needed;
  for (const Digest& digest : kept) {
    const std::vector<Digest>& parts = records.at(digest).refers_to;
    needed.insert(parts.begin(), parts.end());
  }
  for (const Link& link : registry.repositories.blobs(repository))
    if (!needed.contains(link.digest) && now - link.used >= retention.unused_blobs)
      registry.repositories.unlink_blob(repository, link.digest);
}

Janitor::Janitor(Registry& registry, Metrics& metrics, Retention retention,
                 std::function<layerstore::InUse()> in_use, std::function<void(const Error&)> report)
    : registry_(registry),
      metrics_(metrics),
      retention_(retention),
      in_use_(std::move(in_use)),
      report_(std::move(report)),
      thread_([this] { work(); }) {}

Janitor::~Janitor() {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Janitor::work() {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, retention_.interval, [this] { return is_ending_; })) {
    lock.unlock();
    try {
      clean();
    } catch (const Error& error) {
      report_(error);
    } catch (const std::exception& error) {
      report_(Error::make(Errc::io, "clean the registry: {}", error.what()));
    }
    lock.lock();
  }
}

void Janitor::clean() {
  registry_.uploads.sweep(retention_.uploads);
  for (const std::string& repository : registry_.repositories.list()) {
    try {
      expire_links(registry_, repository, retention_, std::chrono::system_clock::now());
    } catch (const Error& error) {
      report_(error);  // the others are none the worse
    }
  }
  const layerstore::CollectResult result = registry_.store.collect(in_use_);
  metrics_.collected(result.bytes);
}

}  // namespace lay::registry::server
