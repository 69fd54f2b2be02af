#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/stream.h"
#include "http/address.h"
#include "http/tls_files.h"
#include "http/url.h"

namespace lay::registry {

/// Header fields of an answer; names in lower case, in the order they came.
class Headers {
 public:
  void add(std::string name, std::string value) { fields_.emplace_back(std::move(name), std::move(value)); }
  /// For the further lines of a folded field; without one before it nothing happens.
  void append_to_last(const std::string& text) {
    if (!fields_.empty()) fields_.back().second += text;
  }
  void clear() { fields_.clear(); }
  /// The first field of that (lower-case) name; empty when there is none.
  std::string get(std::string_view name) const;
  std::vector<std::string> all(std::string_view name) const;

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

/// What is sent: opened anew for every try, because a refused one has consumed it.
struct RequestBody {
  std::function<std::unique_ptr<ByteSource>()> open;
  std::uint64_t size = 0;
  std::string media_type;
};

RequestBody text_body(std::string text, std::string media_type);

struct HttpResponse;

/// Whose certificates count for a request beside the system's.
enum class Trust {
  host,      ///< the authorities that certs.d has for the host that is asked
  registry,  ///< and those of the registry, with HttpOptions::unverified_host: one of its own servers is
             ///< asked
};

struct HttpRequest {
  std::string method = "GET";
  Url url;
  std::vector<std::string> headers = {};  ///< "Name: value", nothing secret
  std::string authorization = {};  ///< the value of that header; sent to `url`'s origin and nowhere else
  std::optional<RequestBody> body = {};
  ByteSink* sink = nullptr;  ///< receives the body of a 2xx answer as it comes; not finished here
  std::function<void(const HttpResponse&)> on_body = {};  ///< sees status and headers before its first byte
  std::uint64_t limit = kMaxJsonBytes;                    ///< of a 2xx body, in bytes; one more is corrupt
  AddressClass nearest = AddressClass::link_local;        ///< connections to anything nearer are refused
  Trust trust = Trust::host;
  std::stop_token stop = {};  ///< somebody else failed: give up soon
};

struct HttpResponse {
  int status = 0;
  Headers headers;
  std::string body;  ///< unless it went to the sink; of errors at most 64 KiB
  Url url;           ///< where it came from, after redirects
  AddressClass peer = AddressClass::global;

  bool ok() const { return status >= 200 && status < 300; }
};

/// No answer: how far it came, and why not further.
struct TransportFailure {
  enum class Kind {
    unreachable,  ///< no such host, nothing listens there, no route
    not_tls,      ///< connected, but the other side does not speak TLS
    not_http,     ///< connected, but no HTTP answer came
    certificate,  ///< TLS, but not the host we meant or nobody we trust
    interrupted,  ///< the connection broke or stalled in the middle
  };
  Kind kind;
  std::string reason;           ///< for the end of a message
  std::string place{};          ///< "host:port" that was asked
  std::string proxy{};          ///< through which; empty: none
  bool is_of_registry = false;  ///< `place` is the registry itself
};

/// An answer, or why there is none.
using Answer = std::variant<HttpResponse, TransportFailure>;

struct HttpOptions {
  /// Certificates of this host are not checked (--tls-verify=false); empty: of none.
  std::string unverified_host;
  /// What certs.d has for the registry; `tls_origin` is "host:port". The certificate is shown there alone,
  /// the authorities count for requests of Trust::registry too.
  TlsFiles tls;
  std::string tls_origin;
  unsigned connect_seconds = 30;
  unsigned stall_seconds = 60;    ///< without a byte received, or sent while a body is not sent whole
  unsigned answer_seconds = 300;  ///< for the answer to a body: a registry may take long to store it
  std::string via = {};           ///< the Via header; empty: none
  std::function<void(const std::string& host)> on_silence = {};  ///< as Connection has it
};

/// HTTP exchanges over libcurl. Connections are kept and used again. May be used from any thread.
///   - redirects are never followed by libcurl; follow() below does it under our rules
///   - no .netrc, no cookies, no content encodings, HTTP/1.1: one connection for each parallel transfer
class HttpClient {
 public:
  explicit HttpClient(HttpOptions options = {});
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// One exchange. Throws what the request's body or sink throws, cancelled when the user asked to stop or
  /// `stop` did, invalid for answers beyond the limits (headers, content encoding),
  /// corrupt for too long a body.
  Answer try_send(const HttpRequest& request) const;
  /// try_send(), then where the answer redirects to (redirect.h).
  Answer try_follow(HttpRequest request) const;
  /// As try_follow(); no answer is Errc::unavailable.
  HttpResponse follow(HttpRequest request) const;

 private:
  struct Handle;
  class Lease;
  void tell_silence(const Url& url) const;
  HttpOptions options_;
  mutable std::atomic<bool> silence_told_ = false;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Handle>> idle_;
};

/// What an answer holds; throws unavailable when there is none.
HttpResponse require_response(Answer answer);

/// "cannot reach WHERE: REASON" with a hint where there is one.
Error transport_error(const std::string& where, const TransportFailure& failure);

}  // namespace lay::registry
