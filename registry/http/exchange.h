#pragma once

#include <curl/curl.h>

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "http/http.h"

namespace lay::registry {

/// One request and its answer as libcurl's callbacks see them. What goes wrong in a callback is kept here and
/// thrown once libcurl has returned: no exception may pass through its frames.
class Exchange {
 public:
  /// `stall_seconds` as HttpOptions has them. `on_silence` is called once a second when nothing has moved for
  /// some, and no answer has begun; it must not throw.
  Exchange(const HttpRequest& request, unsigned stall_seconds, std::function<void()> on_silence);

  const HttpRequest& request() const { return request_; }
  HttpResponse take_response() { return std::move(response_); }
  std::uint64_t received() const { return received_; }
  /// The transfer was broken off because nothing of the request's body went out any more.
  bool is_stalled() const { return is_stalled_; }
  /// The connection was not made because of HttpRequest::nearest.
  bool refused_address() const { return refused_address_; }
  /// The transfer was broken off because the rest of an error's text is not wanted.
  bool has_enough() const { return has_enough_; }
  /// Throws what a callback, the request's body or its sink threw.
  void rethrow_failure() const;

  // The callbacks, with `self` as their user data; see the libcurl options of similar names.
  static std::size_t on_header(char* data, std::size_t, std::size_t size, void* self);
  static std::size_t on_body(char* data, std::size_t, std::size_t size, void* self);
  static std::size_t on_read(char* data, std::size_t, std::size_t size, void* self);
  static int on_seek(void* self, curl_off_t offset, int origin);
  static int on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t);
  static curl_socket_t on_socket(void* self, curlsocktype, curl_sockaddr* address);

 private:
  template <class Body>
  bool guarded(Body&& body);
  void take_header(std::string_view line);
  void begin_answer(std::string_view status_line);
  /// False when nothing more is wanted.
  bool take_body(std::span<const std::byte> bytes);
  void check_encoding() const;
  void note_sent(std::uint64_t sent);
  bool is_silent() const;
  bool sends_on() const;

  const HttpRequest& request_;
  HttpResponse response_;
  std::unique_ptr<ByteSource> source_;
  std::exception_ptr failure_;
  const std::chrono::seconds stall_;
  const std::function<void()> on_silence_;
  std::chrono::steady_clock::time_point last_sent_ = std::chrono::steady_clock::now();
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
  std::size_t header_bytes_ = 0;
  std::size_t header_lines_ = 0;
  bool refused_address_ = false;
  bool has_enough_ = false;
  bool is_stalled_ = false;
};

/// How far a transfer came, in bytes.
struct Transferred {
  std::uint64_t received = 0;
  std::optional<std::uint64_t> sent = std::nullopt;  ///< of the request's body; empty: it has none
};

/// What a libcurl result means to us. `detail` is its error buffer, `os_error` CURLINFO_OS_ERRNO.
TransportFailure describe_failure(CURLcode code, const char* detail, long os_error,
                                  const Transferred& transferred);

}  // namespace lay::registry
