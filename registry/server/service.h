#pragma once

#include <array>
#include <functional>
#include <string>

#include "base/error.h"
#include "server/access_log.h"
#include "server/api.h"
#include "server/authenticator.h"
#include "server/flight_pool.h"
#include "server/left_blobs.h"
#include "server/metrics.h"
#include "server/slow_clients.h"
#include "server/worker_pool.h"

namespace lay::registry::server {

/// By how many servers a blob is asked for (Action::hops). What waits for one server further on never waits
/// for its like: servers that ask each other, or in a circle, would wait for each other.
using Fetchers = std::array<FlightPool, kMaxHops>;

/// What every request is served with.
struct Service {
  Registry& registry;
  Api& api;
  Authenticator& authenticator;
  Metrics& metrics;
  SlowClients& clients;
  const AccessLog& log;
  WorkerPool& workers;  ///< sync disks
  Fetchers& fetchers;   ///< wait for other registries, a few at a time: each takes a layer's memory
  FlightPool&
      checkers;        ///< inflate and hash blobs: apart, so that a registry that is slow delays none of that
  WorkerPool& logins;  ///< compute bcrypt: apart, so that guesses at passwords delay nobody's upload
  /// Failures of the server itself, for its operator. Called from any thread.
  std::function<void(const Error&)> report;
  /// Not empty: a Host header must be a loopback address or this host. A web page could otherwise have a
  /// browser talk to a registry that trusts everybody on this machine (DNS rebinding).
  std::string only_host;
  std::string system_control;  ///< of congestion, for connections from other machines
};

}  // namespace lay::registry::server
