#pragma once

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "server/http/worker_pool.h"

namespace lay::registry::server {

/// Threads for jobs of which those with the same name go one after the other, on one thread: who wants what
/// somebody else is fetching waits for that and occupies nothing.
class FlightPool {
 public:
  explicit FlightPool(unsigned threads) : pool_(threads) {}

  /// `job` may not throw.
  void add(const std::string& name, std::function<void()> job);
  /// As add(), if jobs of that name are under way. Else nothing happens: returns false.
  bool join(const std::string& name, std::function<void()> job);

 private:
  void fly(const std::string& name);

  std::mutex mutex_;
  std::map<std::string, std::deque<std::function<void()>>> waiting_;  ///< of each flight that has begun
  WorkerPool pool_;                                                   // last: its threads use the rest
};

}  // namespace lay::registry::server
