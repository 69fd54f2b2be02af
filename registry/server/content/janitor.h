#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "server/api/api.h"
#include "server/content/expiry.h"
#include "server/metrics.h"

namespace lay::registry::server {

/// A thread that cleans up while the registry serves: abandoned uploads, forgotten links, then whatever the
/// store holds and nobody needs.
class Janitor {
 public:
  Janitor(Registry& registry, Metrics& metrics, Retention retention,
          std::function<layerstore::InUse()> in_use, std::function<void(const Error&)> report);
  ~Janitor();
  Janitor(const Janitor&) = delete;
  Janitor& operator=(const Janitor&) = delete;

 private:
  using Clock = std::chrono::steady_clock;

  void work();
  void expire();
  bool collect();
  void tell_once(const Error& error);
  template <class Work>
  void reporting(Work work);

  Registry& registry_;
  Metrics& metrics_;
  const Retention retention_;
  Expiry expiry_;
  const std::function<layerstore::InUse()> in_use_;
  const std::function<void(const Error&)> report_;
  Clock::time_point collected_ = Clock::now();  ///< for the last time; or begun
  bool is_told_ = false;                        ///< that nothing is collected, since then
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_ending_ = false;
  std::thread thread_;
};

}  // namespace lay::registry::server
