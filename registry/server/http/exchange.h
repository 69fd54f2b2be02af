#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "server/api/request_headers.h"
#include "server/api/response.h"
#include "server/api/service.h"
#include "server/http/microhttpd_library.h"

namespace lay::registry::server {

/// One request and its answer, as libmicrohttpd goes through them: headers, body piece by piece, end. Steps
/// that take time happen on a worker thread while the connection is suspended; no two threads are ever at the
/// same exchange.
class Exchange {
 public:
  Exchange(Service& service, std::string target);
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  ~Exchange();

  /// MHD_AccessHandlerCallback.
  MHD_Result step(MHD_Connection* connection, const char* method, std::span<const std::byte> body,
                  std::size_t* unread);
  /// Whether step() was not called yet.
  bool is_fresh() const { return stage_ == Stage::fresh; }
  /// MHD_RequestCompletedCallback.
  /// `taken` is what the client took of the answer if that was cut: about as many bytes.
  void completed(bool is_whole, std::uint64_t taken);

 private:
  enum class Stage {
    fresh,       ///< nothing is known yet
    verified,    ///< the password was checked
    unverified,  ///< and is wrong: there is a response, the body was not read yet
    receiving,   ///< the body arrives
    discarding,  ///< it is refused already, and read so that the client sees the answer
    working,     ///< on another thread
    ready,       ///< there is a response
    sent,
  };

  void read_headers(MHD_Connection* connection, const char* method);
  bool is_for_here() const;
  bool needs_login() const;
  MHD_Result authenticate(MHD_Connection* connection);
  MHD_Result begin_without_login(MHD_Connection* connection);
  MHD_Result begin(MHD_Connection* connection);
  MHD_Result take(std::span<const std::byte> body);
  MHD_Result finish(MHD_Connection* connection);
  MHD_Result refuse(MHD_Connection* connection, const Refusal& refusal);
  MHD_Result refuse_for_good(MHD_Connection* connection, const Refusal& refusal);
  MHD_Result answer_refused(MHD_Connection* connection);
  MHD_Result send(MHD_Connection* connection);
  template <class Add, class Work>
  MHD_Result elsewhere(MHD_Connection* connection, Add add, Work work);
  template <class Body>
  void answering(Body&& body);
  void set_response(Response response);
  Action own_endpoint() const;

  Service& service_;
  const bool is_late_;  ///< begun when the server was stopping already
  const std::string raw_target_;
  Stage stage_ = Stage::fresh;
  RequestHeaders headers_;
  Request request_;
  Action action_;
  Response response_;
  std::string remote_;
  std::uint64_t received_ = 0;
  std::uint64_t discarded_ = 0;
  bool was_welcome_ = false;  ///< the body, by the headers in front of it
  std::uint64_t to_send_ = 0;
  std::chrono::system_clock::time_point begun_ = std::chrono::system_clock::now();
  std::chrono::steady_clock::time_point clock_ = std::chrono::steady_clock::now();
};

/// The response in libmicrohttpd's form; null when there is no memory. `length` becomes the bytes of its
/// body.
MHD_Response* make_response(Response response, std::uint64_t& length);

}  // namespace lay::registry::server
