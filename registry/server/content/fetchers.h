#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <string>

#include "server/content/flight_pool.h"
#include "server/content/left_blobs.h"

namespace lay::registry::server {

/// Threads for fetches from other registries, of which each takes a layer's memory: three for clients, and
/// one more for each number of servers that may ask for one (Action::hops). So many run at once, whoever
/// asks. What waits for a server further on never waits for its like: servers that ask each other, or in a
/// circle, would wait for each other.
class Fetchers {
 public:
  /// `job` may not throw. Jobs of the same name and `hops`, below kMaxHops, go one after the other; those of
  /// fewer hops also wait for the ones of more that are under way, never the other way round.
  void add(std::size_t hops, const std::string& name, std::function<void()> job);

 private:
  std::array<FlightPool, kMaxHops> pools_{{FlightPool(3), FlightPool(1), FlightPool(1), FlightPool(1)}};
};

}  // namespace lay::registry::server
