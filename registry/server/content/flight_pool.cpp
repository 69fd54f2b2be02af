#include "server/content/flight_pool.h"

#include <utility>

namespace lay::registry::server {

void FlightPool::add(const std::string& name, std::function<void()> job) {
  {
    const std::lock_guard lock(mutex_);
    const auto [flight, is_new] = waiting_.try_emplace(name);
    flight->second.push_back(std::move(job));
    if (!is_new) return;
  }
  pool_.add([this, name] { fly(name); });
}

bool FlightPool::join(const std::string& name, std::function<void()> job) {
  const std::lock_guard lock(mutex_);
  const auto flight = waiting_.find(name);
  if (flight == waiting_.end()) return false;
  flight->second.push_back(std::move(job));
  return true;
}

void FlightPool::fly(const std::string& name) {
  for (;;) {
    std::function<void()> job;
    {
      const std::lock_guard lock(mutex_);
      const auto flight = waiting_.find(name);
      if (flight->second.empty()) {
        waiting_.erase(flight);
        return;
      }
      job = std::move(flight->second.front());
      flight->second.pop_front();
    }
    job();
  }
}

}  // namespace lay::registry::server
