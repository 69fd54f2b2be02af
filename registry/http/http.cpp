#include "http/http.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/error.h"
#include "http/curl_library.h"
#include "http/exchange.h"
#include "http/proxy.h"
#include "http/redirect.h"

namespace lay::registry {

namespace {

constexpr long kReceiveBytes = 256 * 1024;  // sixteen layers may come at once
constexpr long kSendBytes = 512 * 1024;

struct ListFreer {
  void operator()(curl_slist* list) const { curl().slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, ListFreer>;

void append(HeaderList& list, const std::string& line) {
  curl_slist* longer = curl().slist_append(list.get(), line.c_str());
  if (longer == nullptr) throw Error::make(Errc::io, "out of memory");
  static_cast<void>(list.release());
  list.reset(longer);
}

/// `origin` as HttpOptions::tls_origin.
bool is_at(const Url& url, const std::string& origin) {
  return fmt::format("{}:{}", url.host(), url.port()) == origin;
}

/// A source that owns its text.
class OwnedTextSource final : public ByteSource {
 public:
  explicit OwnedTextSource(std::string text) : text_(std::move(text)), source_(text_) {}
  std::size_t read(std::span<std::byte> out) override { return source_.read(out); }

 private:
  std::string text_;
  StringSource source_;
};

}  // namespace

std::string Headers::get(std::string_view name) const {
  for (const auto& [key, value] : fields_)
    if (key == name) return value;
  return {};
}

std::vector<std::string> Headers::all(std::string_view name) const {
  std::vector<std::string> values;
  for (const auto& [key, value] : fields_)
    if (key == name) values.push_back(value);
  return values;
}

RequestBody text_body(std::string text, std::string media_type) {
  const std::uint64_t size = text.size();
  return {.open = [text = std::move(text)] { return std::make_unique<OwnedTextSource>(text); },
          .size = size,
          .media_type = std::move(media_type)};
}

/// One libcurl handle with the connections it keeps.
struct HttpClient::Handle {
  Handle() : easy(curl().easy_init()) {
    if (easy == nullptr) throw Error::make(Errc::io, "out of memory");
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { curl().easy_cleanup(easy); }

  template <class Value>
  void set(CURLoption option, Value value) {
    const CURLcode code = curl().easy_setopt(easy, option, value);
    if (code != CURLE_OK)
      throw Error::make(Errc::unsupported, "libcurl refuses option {}: {}", static_cast<int>(option),
                        curl().easy_strerror(code))
          .with_hint("libcurl 7.85 or newer is needed");
  }
  void set_common(const HttpOptions& options, const HttpRequest& request);
  void set_tls_files(const HttpOptions& options, const HttpRequest& request);
  /// The file of authorities for all hosts; null where there is none.
  const char* usual_file() const;
  void set_callbacks(Exchange& exchange);
  void limit_addresses(const HttpRequest& request, Exchange& exchange);
  /// The list must live until the exchange is over.
  HeaderList set_request(const HttpOptions& options, const HttpRequest& request);
  /// Why the exchange ended with `code` and no answer.
  TransportFailure failure(CURLcode code, const HttpOptions& options, const Exchange& exchange) const;

  CURL* easy;
  std::array<char, CURL_ERROR_SIZE> detail{};
};

void HttpClient::Handle::set_common(const HttpOptions& options, const HttpRequest& request) {
  set(CURLOPT_ERRORBUFFER, detail.data());
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  set(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  set(CURLOPT_USERAGENT, "lay/" LAY_VERSION);
  set(CURLOPT_BUFFERSIZE, kReceiveBytes);
  set(CURLOPT_UPLOAD_BUFFERSIZE, kSendBytes);
  set(CURLOPT_CONNECTTIMEOUT, static_cast<long>(options.connect_seconds));
  set(CURLOPT_LOW_SPEED_LIMIT, 10L);
  set(CURLOPT_LOW_SPEED_TIME,
      static_cast<long>(request.body ? options.answer_seconds : options.stall_seconds));
  set(CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(0));
  const bool is_unverified_host =
      request.trust == Trust::registry || request.url.host() == options.unverified_host;
  const bool verified = options.unverified_host.empty() || !is_unverified_host;
  set(CURLOPT_SSL_VERIFYPEER, verified ? 1L : 0L);
  set(CURLOPT_SSL_VERIFYHOST, verified ? 2L : 0L);
  // As the curl program and OpenSSL itself: authorities instead of the system's.
  if (const char* authorities = std::getenv("SSL_CERT_FILE")) set(CURLOPT_CAINFO, authorities);
  if (const char* folder = std::getenv("SSL_CERT_DIR")) set(CURLOPT_CAPATH, folder);
  set_tls_files(options, request);
  set(CURLOPT_PROXY, find_proxy(request.url).c_str());  // empty: none, whatever the environment says
  set(CURLOPT_NOPROXY, "");
}

const char* HttpClient::Handle::usual_file() const {
  if (const char* named = std::getenv("SSL_CERT_FILE")) return named;
  char* file = nullptr;
  return curl().easy_getinfo(easy, CURLINFO_CAINFO, &file) == CURLE_OK ? file : nullptr;
}

/// What a person trusts for the registry says nothing about the hosts it sends us to, and the certificate
/// that tells who we are is shown to nobody else.
void HttpClient::Handle::set_tls_files(const HttpOptions& options, const HttpRequest& request) {
  if (!request.url.is_https()) return;
  const bool is_registry = is_at(request.url, options.tls_origin);
  std::string authorities;
  if (!is_registry) authorities = read_authorities(cert_folders(request.url.authority()));
  if (is_registry || request.trust == Trust::registry) authorities += options.tls.authorities;
  if (!authorities.empty()) {
    authorities += read_usual_authorities(usual_file());  // which the blob takes the place of
    curl_blob blob{.data = authorities.data(), .len = authorities.size(), .flags = CURL_BLOB_COPY};
    set(CURLOPT_CAINFO_BLOB, &blob);
  }
  if (!is_registry || options.tls.certificate.empty()) return;
  set(CURLOPT_SSLCERT, options.tls.certificate.c_str());
  set(CURLOPT_SSLKEY, options.tls.key.c_str());
}

/// Addresses are checked when a socket is made, so a limited request may not take a
/// connection that exists already.
void HttpClient::Handle::limit_addresses(const HttpRequest& request, Exchange& exchange) {
  if (request.nearest == AddressClass::link_local) return;
  set(CURLOPT_FRESH_CONNECT, 1L);
  if (!find_proxy(request.url).empty()) return;
  set(CURLOPT_OPENSOCKETFUNCTION, &Exchange::on_socket);
  set(CURLOPT_OPENSOCKETDATA, &exchange);
}

void HttpClient::Handle::set_callbacks(Exchange& exchange) {
  set(CURLOPT_HEADERFUNCTION, &Exchange::on_header);
  set(CURLOPT_HEADERDATA, &exchange);
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(CURLOPT_WRITEFUNCTION, &Exchange::on_body);
  set(CURLOPT_WRITEDATA, &exchange);
  set(CURLOPT_READFUNCTION, &Exchange::on_read);
  set(CURLOPT_READDATA, &exchange);
  set(CURLOPT_XFERINFOFUNCTION, &Exchange::on_progress);
  set(CURLOPT_XFERINFODATA, &exchange);
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_SEEKFUNCTION, &Exchange::on_seek);
  set(CURLOPT_SEEKDATA, &exchange);
}

HeaderList HttpClient::Handle::set_request(const HttpOptions& options, const HttpRequest& request) {
  set(CURLOPT_URL, request.url.text().c_str());
  HeaderList headers;
  for (const std::string& line : request.headers) append(headers, line);
  if (!options.via.empty()) append(headers, "Via: " + options.via);
  if (!request.authorization.empty()) append(headers, "Authorization: " + request.authorization);
  if (request.body) {
    if (!request.body->media_type.empty()) append(headers, "Content-Type: " + request.body->media_type);
    set(CURLOPT_UPLOAD, 1L);
    set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.body->size));
  } else if (request.method == "HEAD") {
    set(CURLOPT_NOBODY, 1L);
  }
  set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
  // On a kept connection that breaks, libcurl sends a request again by itself; whoever deletes has to know.
  if (request.method == "DELETE") set(CURLOPT_FRESH_CONNECT, 1L);
  if (headers) set(CURLOPT_HTTPHEADER, headers.get());
  return headers;
}

TransportFailure HttpClient::Handle::failure(CURLcode code, const HttpOptions& options,
                                             const Exchange& exchange) const {
  const HttpRequest& request = exchange.request();
  long os_error = 0;
  curl().easy_getinfo(easy, CURLINFO_OS_ERRNO, &os_error);
  Transferred transferred{.received = exchange.received()};
  if (request.body) {
    curl_off_t sent = 0;
    curl().easy_getinfo(easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    transferred.sent = static_cast<std::uint64_t>(sent);
  }
  TransportFailure failure = describe_failure(code, detail.data(), os_error, transferred);
  failure.place = request.url.authority();
  failure.proxy = shown_proxy(request.url);
  failure.is_of_registry = is_at(request.url, options.tls_origin);
  return failure;
}

/// Takes an idle handle, or a new one, and gives it back.
class HttpClient::Lease {
 public:
  explicit Lease(const HttpClient& client) : client_(client) {
    const std::scoped_lock lock(client.mutex_);
    if (client.idle_.empty()) {
      handle_ = std::make_unique<Handle>();
    } else {
      handle_ = std::move(client.idle_.back());
      client.idle_.pop_back();
    }
    curl().easy_reset(handle_->easy);
    handle_->detail[0] = '\0';
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  ~Lease() {
    if (!is_good_) return;
    curl().easy_reset(handle_->easy);  // nothing of this exchange, its secrets included, stays set
    const std::scoped_lock lock(client_.mutex_);
    client_.idle_.push_back(std::move(handle_));
  }
  Handle* operator->() const { return handle_.get(); }
  /// libcurl keeps a failed connection's buffer, and then refuses to set its size: the handle is not used
  /// again.
  void discard() { is_good_ = false; }

 private:
  const HttpClient& client_;
  std::unique_ptr<Handle> handle_;
  bool is_good_ = true;
};

HttpClient::HttpClient(HttpOptions options) : options_(std::move(options)) {}
HttpClient::~HttpClient() = default;

void HttpClient::tell_silence(const Url& url) const {
  if (options_.on_silence && !silence_told_.exchange(true)) options_.on_silence(url.authority());
}

Answer HttpClient::try_send(const HttpRequest& request) const {
  Exchange exchange(request, options_.stall_seconds, [&] { tell_silence(request.url); });
  Lease handle(*this);
  handle->set_common(options_, request);
  handle->set_callbacks(exchange);
  handle->limit_addresses(request, exchange);
  const HeaderList headers = handle->set_request(options_, request);
  const CURLcode code = curl().easy_perform(handle->easy);
  if (code != CURLE_OK) handle.discard();

  exchange.rethrow_failure();
  if (code == CURLE_ABORTED_BY_CALLBACK && !exchange.is_stalled())
    throw Error(Errc::cancelled, "interrupted");
  if (exchange.refused_address())
    throw Error::make(Errc::invalid, "'{}' leads to an address nearer than the registry itself; refused",
                      request.url.authority());
  if (code != CURLE_OK && !exchange.has_enough()) return handle->failure(code, options_, exchange);
  const char* peer = nullptr;
  curl().easy_getinfo(handle->easy, CURLINFO_PRIMARY_IP, &peer);
  HttpResponse response = exchange.take_response();
  // The proxy's address says nothing of the registry's, which then may lead to nothing near.
  if (peer != nullptr && find_proxy(request.url).empty()) response.peer = classify_literal(peer);
  return response;
}

Answer HttpClient::try_follow(HttpRequest request) const {
  for (int hops = 0;; ++hops) {
    Answer answer = try_send(request);
    const auto* response = std::get_if<HttpResponse>(&answer);
    if (response == nullptr || !is_redirect(request, *response)) return answer;
    if (hops == kMaxRedirects)
      throw Error::make(Errc::unavailable, "redirected more than {} times, at last by '{}'", kMaxRedirects,
                        request.url.authority());
    request = plan_redirect(request, *response);
  }
}

HttpResponse HttpClient::follow(HttpRequest request) const {
  return require_response(try_follow(std::move(request)));
}

HttpResponse require_response(Answer answer) {
  if (const auto* failure = std::get_if<TransportFailure>(&answer))
    throw transport_error("'" + failure->place + "'", *failure);
  return std::get<HttpResponse>(std::move(answer));
}

Error transport_error(const std::string& where, const TransportFailure& failure) {
  using Kind = TransportFailure::Kind;
  const std::string way = failure.proxy.empty() ? where : where + " through proxy '" + failure.proxy + "'";
  Error error = Error::make(Errc::unavailable, "cannot reach {}: {}", way, failure.reason);
  if (failure.kind == Kind::interrupted)
    error = Error::make(Errc::unavailable, "connection to {}: {}", way, failure.reason);
  if (failure.kind == Kind::certificate && failure.is_of_registry)
    error.with_hint("give the registry a certificate this machine trusts, or use --tls-verify=false");
  else if (failure.kind == Kind::certificate)
    error.with_hint(fmt::format("if its authority is yours, put it into /etc/containers/certs.d/{}/ca.crt",
                                failure.place));
  if (failure.kind == Kind::unreachable && !failure.proxy.empty())
    error.with_hint(
        "http_proxy, https_proxy and all_proxy name the proxy, no_proxy what is reached without one");
  else if (failure.kind == Kind::unreachable)
    error.with_hint("is it running, and is the name right?");
  if (failure.kind == Kind::not_tls) error.with_hint("if it speaks plain http, use --tls-verify=false");
  return error;
}

}  // namespace lay::registry
