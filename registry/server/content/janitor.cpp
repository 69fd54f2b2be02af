#include "server/content/janitor.h"

#include <utility>

#include "base/error.h"

namespace lay::registry::server {

Janitor::Janitor(Registry& registry, Metrics& metrics, Retention retention,
                 std::function<layerstore::InUse()> in_use, std::function<void(const Error&)> report)
    : registry_(registry),
      metrics_(metrics),
      retention_(retention),
      expiry_(registry, retention),
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
  const std::vector<std::string> repositories = registry_.repositories.list();
  expiry_.forget_all_but(repositories);
  for (const std::string& repository : repositories) {
    try {
      expiry_.look_at(repository, std::chrono::system_clock::now());
    } catch (const Error& error) {
      report_(error);  // the others are none the worse
    }
  }
  const layerstore::CollectResult result = registry_.store.collect(in_use_);
  metrics_.collected(result.bytes);
}

}  // namespace lay::registry::server
