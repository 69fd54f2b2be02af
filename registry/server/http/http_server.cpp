#include "server/http/http_server.h"

#include <malloc.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/file_limit.h"
#include "http/congestion_control.h"
#include "server/http/exchange.h"

namespace lay::registry::server {

namespace {

/// Modern clients all have TLS 1.2 (threats R10).
constexpr const char* kTlsPriorities = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";
constexpr std::chrono::milliseconds kPoll{20};

void* begin_exchange(void* service, const char* target, MHD_Connection*) {
  return std::make_unique<Exchange>(*static_cast<Service*>(service), target).release();
}

MHD_Result step(void* service, MHD_Connection* connection, const char*, const char* method, const char*,
                const char* body, std::size_t* size, void** state) {
  auto* exchange = static_cast<Exchange*>(*state);
  if (exchange == nullptr) return MHD_NO;
  if (exchange->is_fresh()) static_cast<Service*>(service)->clients.request_begun(connection);
  return exchange->step(connection, method, std::as_bytes(std::span(body, *size)), size);
}

void end_exchange(void* service, MHD_Connection* connection, void** state, MHD_RequestTerminationCode how) {
  const Service& shared = *static_cast<Service*>(service);
  const std::uint64_t taken = shared.clients.request_ended(connection);
  const std::unique_ptr<Exchange> exchange(static_cast<Exchange*>(*state));
  *state = nullptr;
  if (exchange) exchange->completed(how == MHD_REQUEST_TERMINATED_COMPLETED_OK, taken);
}

void choose_congestion_control(MHD_Connection* connection, const std::string& systems) {
  const auto& library = microhttpd();
  const auto* peer = library.get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
  const auto* socket = library.get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  if (peer != nullptr && socket != nullptr)
    give_back_congestion_control(socket->connect_fd, *peer->client_addr, systems);
}

void note_connection(void* shared, MHD_Connection* connection, void**, MHD_ConnectionNotificationCode what) {
  const Service& service = *static_cast<Service*>(shared);
  if (what == MHD_CONNECTION_NOTIFY_STARTED) {
    service.metrics.connection_opened();
    service.clients.opened(connection);
    choose_congestion_control(connection, service.system_control);
  } else {
    service.clients.closed(connection);
    service.metrics.connection_closed();
  }
}

unsigned thread_count() {
  return std::clamp(2 * std::thread::hardware_concurrency(), 4U, 32U);
}

/// The memory of connections is mapped one by one, and so goes with them: pieces of a heap stay between those
/// of connections that live longer, and after some waves of thousands take half as much again.
void map_connections() {
  ::mallopt(M_MMAP_THRESHOLD, 16 * 1024);
}

std::vector<MHD_OptionItem> tls_options() {
  return {{MHD_OPTION_HTTPS_CERT_CALLBACK, 0, reinterpret_cast<void*>(&choose_certificate)},
          {MHD_OPTION_HTTPS_PRIORITIES, 0, const_cast<char*>(kTlsPriorities)}};
}

}  // namespace

HttpServer::HttpServer(Service& service, UniqueFd socket, const std::optional<TlsFiles>& tls,
                       const HttpLimits& limits)
    : service_(service) {
  std::signal(SIGPIPE, SIG_IGN);  // clients that go away while sendfile(2) writes
  raise_file_limit();             // each connection needs a descriptor, and the file it is sent one more
  map_connections();
  unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC;
  std::vector<MHD_OptionItem> more;
  if (tls) {
    flags |= MHD_USE_TLS;
    use_certificate(*tls);
    more = tls_options();
  }
  more.push_back({MHD_OPTION_END, 0, nullptr});
  daemon_ = microhttpd().start_daemon(flags, 0, nullptr, nullptr, &step, &service_,                  //
                                      MHD_OPTION_LISTEN_SOCKET, socket.get(),                        //
                                      MHD_OPTION_URI_LOG_CALLBACK, &begin_exchange, &service_,       //
                                      MHD_OPTION_NOTIFY_COMPLETED, &end_exchange, &service_,         //
                                      MHD_OPTION_NOTIFY_CONNECTION, &note_connection, &service_,     //
                                      MHD_OPTION_THREAD_POOL_SIZE, thread_count(),                   //
                                      MHD_OPTION_CONNECTION_LIMIT, limits.connections,               //
                                      MHD_OPTION_CONNECTION_MEMORY_LIMIT, limits.connection_memory,  //
                                      MHD_OPTION_STRICT_FOR_CLIENT, 1,                               //
                                      MHD_OPTION_ARRAY, more.data(), MHD_OPTION_END);
  if (daemon_ == nullptr)
    throw Error(Errc::invalid, "the HTTP server cannot start")
        .with_hint("is the limit of open files (ulimit -n) very low?");
  socket_ = std::move(socket);
}

HttpServer::~HttpServer() {
  if (daemon_ != nullptr) microhttpd().stop_daemon(daemon_);
}

bool HttpServer::drain(std::chrono::seconds limit) {
  microhttpd().quiesce_daemon(daemon_);
  socket_.reset();
  service_.is_draining = true;
  const auto end = std::chrono::steady_clock::now() + limit;
  while (service_.metrics.in_flight() > 0) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(kPoll);
  }
  return true;
}

}  // namespace lay::registry::server
