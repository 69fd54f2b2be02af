#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "server/api/service.h"
#include "server/http/certificate.h"
#include "server/http/microhttpd_library.h"

namespace lay::registry::server {

struct HttpLimits {
  unsigned connections = 4096;
  /// For the headers of a request, and what is read at once. With malloc's own words seven pages.
  std::size_t connection_memory = 28 * 1024 - 64;
};

/// libmicrohttpd with one epoll loop for each of a few threads, calling Exchange.
class HttpServer {
 public:
  /// `socket` listens already. Throws invalid when the certificate cannot be used.
  HttpServer(Service& service, UniqueFd socket, const std::optional<TlsFiles>& tls, const HttpLimits& limits);
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  /// Cuts what is still under way.
  ~HttpServer();

  /// Another certificate for the connections that come; throws invalid, and goes on with that of before.
  void renew(const TlsFiles& tls) { use_certificate(tls); }

  /// Takes no more connections, refuses requests that begin on those it has, and waits for the requests that
  /// are under way, at most for `limit`. False when some were not done.
  bool drain(std::chrono::seconds limit);

 private:
  Service& service_;
  MHD_Daemon* daemon_ = nullptr;
  UniqueFd socket_;
};

}  // namespace lay::registry::server
