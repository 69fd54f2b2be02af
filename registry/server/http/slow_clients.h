#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <thread>

#include "server/http/microhttpd_library.h"

namespace lay::registry::server {

/// Cuts connections whose clients leave them idle, hold them by a byte now and then, or have ended their side
/// before a request was whole (of which libmicrohttpd learns nothing while it waits for a header or a chunk).
/// What has arrived and what was taken the kernel says (tcp(7), TCP_INFO), so that bodies, sendfile(2) and
/// TLS count alike. libmicrohttpd's own timeout would cut who reads slowly: it sees nothing while the send
/// buffer is full.
class SlowClients {
 public:
  struct Limits {
    std::chrono::milliseconds
        header;  ///< for a whole header once it began, a TLS handshake included; up to twice
    /// In one and a half of it a request moves 64 bytes for each second; a connection without one is idle for
    /// one at most.
    std::chrono::milliseconds window;
  };

  explicit SlowClients(Limits limits);
  ~SlowClients();
  SlowClients(const SlowClients&) = delete;
  SlowClients& operator=(const SlowClients&) = delete;

  // Each from the thread of the connection; closed() before its socket is.
  void opened(MHD_Connection* connection);
  void closed(MHD_Connection* connection);
  void request_begun(MHD_Connection* connection);  ///< its header is whole
  void answer_begun(MHD_Connection* connection);   ///< nothing more of the request is waited for
  /// Returns how many bytes the client took since it began, those of the header included.
  std::uint64_t request_ended(MHD_Connection* connection);
  // The client is waiting for the server. From any thread.
  void work_begun(MHD_Connection* connection);
  void work_ended(MHD_Connection* connection);

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Client {
    int socket = -1;
    bool in_request = false;
    bool is_working = false;
    bool is_answering = false;
    bool has_left = false;         ///< at the last look: its side was ended, and all that came was read
    unsigned slow_halves = 0;      ///< of windows, in a row, in which a request moved too little
    bool has_begun = false;        ///< a part of a header was there at the last look
    std::uint64_t in = 0;          ///< at the last look; without a request: what had arrived when that began
    std::uint64_t out = 0;         ///< at the last look for slowness
    std::uint64_t out_before = 0;  ///< when the request began
    Time looked = std::chrono::steady_clock::now();
    Time looked_for_header = looked;
  };

  void set_working(MHD_Connection* connection, bool is_working);
  void work();
  bool judge(Client& client) const;
  bool is_left(Client& client) const;
  bool is_slow_request(Client& client, Time now) const;
  bool is_idle(Client& client, Time now) const;

  const Limits limits_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<MHD_Connection*, Client> clients_;
  bool is_ending_ = false;
  std::thread thread_;
};

}  // namespace lay::registry::server
