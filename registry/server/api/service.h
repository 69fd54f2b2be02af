#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "base/error.h"
#include "server/access/authenticator.h"
#include "server/access/challenge.h"
#include "server/api/api.h"
#include "server/content/fetchers.h"
#include "server/content/flight_pool.h"
#include "server/http/access_log.h"
#include "server/http/slow_clients.h"
#include "server/http/worker_pool.h"
#include "server/metrics.h"

namespace lay::registry::server {

/// What every request is served with.
struct Service {
  Registry& registry;
  Api& api;
  Authenticator& authenticator;
  Metrics& metrics;
  SlowClients& clients;
  const AccessLog& log;
  WorkerPool& workers;  ///< sync disks
  Fetchers& fetchers;   ///< wait for other registries
  FlightPool&
      checkers;        ///< inflate and hash blobs: apart, so that a registry that is slow delays none of that
  WorkerPool& logins;  ///< compute bcrypt: apart, so that guesses at passwords delay nobody's upload
  /// Failures of the server itself, for its operator. Called from any thread.
  std::function<void(const Error&)> report;
  /// Not empty: without verified credentials nothing is done for requests whose Host header is neither a
  /// loopback address nor this. A web page could otherwise have a browser talk to a registry that trusts
  /// everybody on this machine (DNS rebinding).
  std::string only_host;
  LoginWays login_ways;
  bool lets_all_be_read = false;          ///< by everybody
  std::string system_control;             ///< of congestion, for connections from other machines
  std::atomic<bool> is_draining = false;  ///< requests that begin from now on are refused
};

}  // namespace lay::registry::server
