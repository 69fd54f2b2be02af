#include "server/http/slow_clients.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

namespace lay::registry::server {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::uint64_t kBytesPerSecond = 64;
constexpr unsigned kCloseWait = 8;  // TCP_CLOSE_WAIT of <netinet/tcp.h>, which does not go with linux/tcp.h

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

/// Whether the client has ended its side, and all that it sent was taken.
bool has_ended(int socket) {
  tcp_info info{};
  socklen_t size = sizeof info;
  int unread = 0;
  return ::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && info.tcpi_state == kCloseWait &&
         ::ioctl(socket, FIONREAD, &unread) == 0 && unread == 0;
}

bool is_too_little(std::uint64_t bytes, milliseconds window) {
  return bytes * 1000 < kBytesPerSecond * static_cast<std::uint64_t>(window.count());
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
  found->second = Client{.socket = found->second.socket,
                         .in_request = true,
                         .in = moved.in,
                         .out = moved.out,
                         .out_before = moved.out};
}

void SlowClients::answer_begun(MHD_Connection* connection) {
  const std::lock_guard lock(mutex_);
  const auto found = clients_.find(connection);
  if (found != clients_.end()) found->second.is_answering = true;
}

std::uint64_t SlowClients::request_ended(MHD_Connection* connection) {
  const std::lock_guard lock(mutex_);
  const auto found = clients_.find(connection);
  if (found == clients_.end()) return 0;
  const Moved moved = moved_on(found->second.socket);
  const std::uint64_t taken = moved.out - std::min(moved.out, found->second.out_before);
  found->second = Client{.socket = found->second.socket, .in = moved.in, .out = moved.out};
  return taken;
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

/// A reader's kernel takes more only when much of what it holds was read: a window may pass without a byte.
bool SlowClients::is_slow_request(Client& client, Time now) const {
  if (client.is_working || now - client.looked < limits_.window / 2) return false;
  client.looked = now;
  const Moved moved = moved_on(client.socket);
  const std::uint64_t before = std::exchange(client.in, moved.in) + std::exchange(client.out, moved.out);
  const bool is_slow = is_too_little(moved.in + moved.out - before, limits_.window / 2);
  client.slow_halves = is_slow ? client.slow_halves + 1 : 0;
  return client.slow_halves == 3;
}

/// Of an answer that is written, the client may still be taking what the kernel holds.
bool SlowClients::is_idle(Client& client, Time now) const {
  const Moved moved = moved_on(client.socket);
  const bool has_begun = moved.in > client.in;
  if (now - client.looked_for_header >= limits_.header) {
    client.looked_for_header = now;
    if (std::exchange(client.has_begun, has_begun)) return true;
  }
  if (has_begun || now - client.looked < limits_.window) return false;
  client.looked = now;
  const std::uint64_t before = std::exchange(client.out, moved.out);
  return is_too_little(moved.out - before, limits_.window);
}

/// What was read last may still be on its way to the request: so it has to be at two looks.
bool SlowClients::is_left(Client& client) const {
  const bool has_left = !client.is_working && !client.is_answering && has_ended(client.socket);
  return std::exchange(client.has_left, has_left) && has_left;
}

/// Whether it is to be cut.
bool SlowClients::judge(Client& client) const {
  if (is_left(client)) return true;
  const Time now = steady_clock::now();
  return client.in_request ? is_slow_request(client, now) : is_idle(client, now);
}

void SlowClients::work() {
  const milliseconds pause = std::max(milliseconds(100), std::min(limits_.header, limits_.window) / 5);
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, pause, [this] { return is_ending_; }))
    for (auto& [connection, client] : clients_)
      if (judge(client)) ::shutdown(client.socket, SHUT_RDWR);  // its thread sees the end, and closes it
}

}  // namespace lay::registry::server
