#include "server/content/janitor.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace lay::registry::server {

namespace {

constexpr std::chrono::hours kTellAfter{24};

}  // namespace

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

/// Failures are reported: there is a next time.
template <class Work>
void Janitor::reporting(Work work) {
  try {
    work();
  } catch (const Error& error) {
    report_(error);
  } catch (const std::exception& error) {
    report_(Error::make(Errc::io, "clean the registry: {}", error.what()));
  }
}

void Janitor::work() {
  Clock::time_point round = Clock::now() + retention_.interval;
  Clock::time_point next = round;
  std::unique_lock lock(mutex_);
  while (!changed_.wait_until(lock, next, [this] { return is_ending_; })) {
    lock.unlock();
    const bool is_round = Clock::now() >= round;
    bool has_collected = true;  // or failed, and would again
    reporting([&] {
      if (is_round && !retention_.keeps_all) expire();
      has_collected = collect();
    });
    if (is_round) round = Clock::now() + retention_.interval;
    next = has_collected ? round : std::min(round, Clock::now() + retention_.retry);
    lock.lock();
  }
}

void Janitor::expire() {
  registry_.uploads.sweep(retention_.uploads);
  const std::vector<std::string> repositories = registry_.repositories.list();
  expiry_.forget_all_but(repositories);
  // The others are none the worse for one that fails
  for (const std::string& repository : repositories)
    reporting([&] { expiry_.look_at(repository, std::chrono::system_clock::now()); });
}

/// False when it is worth another try soon.
bool Janitor::collect() {
  const layerstore::CollectResult result = registry_.store.collect(in_use_);
  if (result.collecting == layerstore::Collecting::done) {
    metrics_.collected(result.bytes);
    collected_ = Clock::now();
    is_told_ = false;
    return true;
  }
  metrics_.collection_missed();
  if (result.collecting == layerstore::Collecting::unknown) {
    tell_once(
        Error(Errc::corrupt, "nothing is collected: a container's files are damaged, and may need anything")
            .with_hint("'lay ps -a' names it; 'lay rm' removes it"));
    return true;
  }
  if (Clock::now() - collected_ >= kTellAfter)
    tell_once(
        Error(Errc::busy, "nothing was collected for a day: others were adding to the store at each try")
            .with_hint("does a 'lay pull', 'push' or 'commit' hang? 'fuser' tells who holds ROOT/lock"));
  return false;
}

void Janitor::tell_once(const Error& error) {
  if (!is_told_) report_(error);
  is_told_ = true;
}

}  // namespace lay::registry::server
