#include "server/slow_clients.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

namespace lay::registry::server {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::uint64_t kBytesPerSecond = 64;

struct Moved {
  std::uint64_t in = 0;
  std::uint64_t out = 0;
};

Moved moved_on(int socket) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return {};
  return {.in = info.tcpi_bytes_received, .out = info.tcpi_bytes_acked};
}

}  // namespace

SlowClients::SlowClients(Limits limits) : limits_(limits), thread_([this] { work(); }) {}

SlowClients::~SlowClients() {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void SlowClients::opened(MHD_Connection* connection) {
  const auto* info = microhttpd().get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  if (info == nullptr) return;
  const std::lock_guard lock(mutex_);
  clients_[connection] = Client{.socket = info->connect_fd};
}

void SlowClients::closed(MHD_Connection* connection) {
  const std::lock_guard lock(mutex_);
  clients_.erase(connection);
}

void SlowClients::request_begun(MHD_Connection* connection) {
  const std::lock_guard lock(mutex_);
  const auto found = clients_.find(connection);
  if (found == clients_.end()) return;
  const Moved moved = moved_on(found->second.socket);
  found->second = Client{.socket = found->second.socket, .in_request = true, .moved = moved.in + moved.out};
}

void SlowClients::request_ended(MHD_Connection* connection) {
  const std::lock_guard lock(mutex_);
  const auto found = clients_.find(connection);
  if (found == clients_.end()) return;
  found->second = Client{.socket = found->second.socket, .moved = moved_on(found->second.socket).in};
}

void SlowClients::set_working(MHD_Connection* connection, bool is_working) {
  const std::lock_guard lock(mutex_);
  const auto found = clients_.find(connection);
  if (found == clients_.end()) return;
  found->second.is_working = is_working;
  found->second.looked = steady_clock::now();
}

void SlowClients::work_begun(MHD_Connection* connection) {
  set_working(connection, true);
}

void SlowClients::work_ended(MHD_Connection* connection) {
  set_working(connection, false);
}

/// Looks at a client once in each window, and says then whether it is to be cut. A connection that waits for
/// a request without a byte of it is not slow but idle, which libmicrohttpd sees.
bool SlowClients::judge(Client& client) const {
  const auto now = steady_clock::now();
  const milliseconds window = client.in_request ? limits_.window : limits_.header;
  if (client.is_working || now - client.looked < window) return false;
  client.looked = now;
  const Moved moved = moved_on(client.socket);
  if (!client.in_request) {
    const bool had_begun = std::exchange(client.has_begun, moved.in > client.moved);
    return had_begun;
  }
  const std::uint64_t before = std::exchange(client.moved, moved.in + moved.out);
  return (client.moved - before) * 1000 < kBytesPerSecond * static_cast<std::uint64_t>(window.count());
}

void SlowClients::work() {
  const milliseconds pause = std::max(milliseconds(100), std::min(limits_.header, limits_.window) / 5);
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, pause, [this] { return is_ending_; }))
    for (auto& [connection, client] : clients_)
      if (judge(client)) ::shutdown(client.socket, SHUT_RDWR);  // its thread sees the end, and closes it
}

}  // namespace lay::registry::server
