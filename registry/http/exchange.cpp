#include "http/exchange.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/cancel.h"
#include "base/error.h"
#include "base/text.h"
#include "http/congestion_control.h"
#include "http/curl_library.h"

namespace lay::registry {

namespace {

constexpr std::size_t kMaxHeaderBytes = 64 * 1024;  // of one exchange, interim answers included
constexpr std::size_t kMaxHeaderLines = 200;
constexpr std::size_t kMaxErrorBody = 64 * 1024;
constexpr std::chrono::seconds kPatience{5};

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string_view without_leading_blanks(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  return text;
}

/// libcurl's words begin with a capital, ours do not; but SSL, CONNECT and OpenSSL are names.
std::string uncapitalised(std::string text) {
  const auto is_upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  const std::string_view word = std::string_view(text).substr(0, text.find(' '));
  if (std::ranges::count_if(word, is_upper) == 1) text.replace(0, 1, to_lower(text.substr(0, 1)));
  return text;
}

std::string reason_of(CURLcode code, const char* detail, long os_error) {
  if (code == CURLE_COULDNT_CONNECT && os_error != 0)
    return uncapitalised(std::strerror(static_cast<int>(os_error)));
  if (code == CURLE_COULDNT_RESOLVE_HOST) return "no such host";
  if (code == CURLE_COULDNT_RESOLVE_PROXY) return "no such proxy host";
  return uncapitalised(printable(*detail != '\0' ? detail : curl().easy_strerror(code)));
}

}  // namespace

Exchange::Exchange(const HttpRequest& request, unsigned stall_seconds, std::function<void()> on_silence)
    : request_(request),
      response_{.url = request.url},
      stall_(stall_seconds),
      on_silence_(std::move(on_silence)) {
  if (request.body) source_ = request.body->open();
}

void Exchange::rethrow_failure() const {
  if (failure_) std::rethrow_exception(failure_);
}

template <class Body>
bool Exchange::guarded(Body&& body) {
  try {
    body();
    return true;
  } catch (...) {
    failure_ = std::current_exception();
    return false;
  }
}

std::size_t Exchange::on_header(char* data, std::size_t, std::size_t size, void* self) {
  auto& exchange = *static_cast<Exchange*>(self);
  return exchange.guarded([&] { exchange.take_header({data, size}); }) ? size : 0;
}

std::size_t Exchange::on_body(char* data, std::size_t, std::size_t size, void* self) {
  auto& exchange = *static_cast<Exchange*>(self);
  bool wanted = true;
  const bool good =
      exchange.guarded([&] { wanted = exchange.take_body(std::as_bytes(std::span(data, size))); });
  return good && wanted ? size : 0;
}

std::size_t Exchange::on_read(char* data, std::size_t, std::size_t size, void* self) {
  auto& exchange = *static_cast<Exchange*>(self);
  std::size_t count = 0;
  const auto read = [&] { count = exchange.source_->read(std::as_writable_bytes(std::span(data, size))); };
  return exchange.guarded(read) ? count : CURL_READFUNC_ABORT;
}

int Exchange::on_seek(void* self, curl_off_t offset, int origin) {
  auto& exchange = *static_cast<Exchange*>(self);
  if (offset != 0 || origin != SEEK_SET || !exchange.request_.body) return CURL_SEEKFUNC_CANTSEEK;
  const auto reopen = [&] { exchange.source_ = exchange.request_.body->open(); };
  return exchange.guarded(reopen) ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

int Exchange::on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t sent) {
  auto& exchange = *static_cast<Exchange*>(self);
  if (cancel_requested() || exchange.request_.stop.stop_requested()) return 1;
  exchange.note_sent(static_cast<std::uint64_t>(sent));
  if (exchange.is_silent()) exchange.on_silence_();
  exchange.is_stalled_ = !exchange.sends_on();
  return exchange.is_stalled_ ? 1 : 0;
}

void Exchange::note_sent(std::uint64_t sent) {
  if (sent != sent_) last_sent_ = std::chrono::steady_clock::now();
  sent_ = sent;
}

/// libcurl calls on_progress() once a second at least, while it connects too.
bool Exchange::is_silent() const {
  return response_.status == 0 && std::chrono::steady_clock::now() - last_sent_ > kPatience;
}

/// libcurl's own limit covers the wait for the answer as well, which may be a long one.
bool Exchange::sends_on() const {
  if (!request_.body || sent_ == request_.body->size) return true;
  return std::chrono::steady_clock::now() - last_sent_ <= stall_;
}

curl_socket_t Exchange::on_socket(void* self, curlsocktype, curl_sockaddr* address) {
  auto& exchange = *static_cast<Exchange*>(self);
  if (classify(address->addr) > exchange.request_.nearest) {
    exchange.refused_address_ = true;
    return CURL_SOCKET_BAD;
  }
  const int made = ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  choose_congestion_control(made, address->addr);
  return made;
}

void Exchange::take_header(std::string_view line) {
  header_bytes_ += line.size();
  if (header_bytes_ > kMaxHeaderBytes || ++header_lines_ > kMaxHeaderLines)
    throw Error::make(Errc::invalid, "answer of '{}' has too many header lines", request_.url.authority());
  while (!line.empty() &&
         (line.back() == '\n' || line.back() == '\r' || line.back() == ' ' || line.back() == '\t'))
    line.remove_suffix(1);
  if (line.starts_with("HTTP/")) return begin_answer(line);
  if (line.starts_with(' ') || line.starts_with('\t'))  // obs-fold (RFC 9112, 5.2)
    return response_.headers.append_to_last(" " + std::string(without_leading_blanks(line)));
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  response_.headers.add(to_lower(line.substr(0, colon)),
                        std::string(without_leading_blanks(line.substr(colon + 1))));
}

/// Of an interim answer (1xx) or the final one.
void Exchange::begin_answer(std::string_view status_line) {
  response_.headers.clear();
  const std::size_t space = std::min(status_line.find(' '), status_line.size() - 1);
  response_.status = static_cast<int>(parse_number(status_line.substr(space + 1, 3)).value_or(0));
}

bool Exchange::take_body(std::span<const std::byte> bytes) {
  if (!response_.ok()) {
    const std::size_t room = kMaxErrorBody - response_.body.size();
    response_.body += as_text(bytes).substr(0, room);
    has_enough_ = bytes.size() > room;
    return !has_enough_;
  }
  if (received_ == 0) {
    check_encoding();
    if (request_.on_body) request_.on_body(response_);
  }
  received_ += bytes.size();
  if (received_ > request_.limit)
    throw Error::make(Errc::corrupt, "got more than {0} bytes, expected {1}{0}", request_.limit,
                      request_.sink != nullptr ? "" : "at most ");
  if (request_.sink != nullptr)
    request_.sink->write(bytes);
  else
    response_.body += as_text(bytes);
  return true;
}

/// No encoding was offered, so these bytes are not those that the digest is of.
void Exchange::check_encoding() const {
  const std::string encoding = response_.headers.get("content-encoding");
  if (!encoding.empty() && to_lower(encoding) != "identity")
    throw Error::make(Errc::invalid, "'{}' sent content encoding '{}', which nobody asked for",
                      request_.url.authority(), printable(encoding));
}

TransportFailure describe_failure(CURLcode code, const char* detail, long os_error,
                                  const Transferred& transferred) {
  using Kind = TransportFailure::Kind;
  const std::string how_far = transferred.sent ? fmt::format("{} bytes sent", *transferred.sent)
                                               : fmt::format("{} bytes", transferred.received);
  const std::string reason = reason_of(code, detail, os_error);
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
      return {Kind::unreachable, reason};
    case CURLE_SSL_CONNECT_ERROR:
      return {Kind::not_tls, reason};
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
      return {Kind::certificate, reason};
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:  // HTTP/0.9: anything that is no HTTP
      return {Kind::not_http, reason};
    case CURLE_ABORTED_BY_CALLBACK:
    case CURLE_OPERATION_TIMEDOUT:
      return {Kind::interrupted, "stalled after " + how_far};
    case CURLE_GOT_NOTHING:
      return {Kind::interrupted, reason};
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
      return {Kind::interrupted, fmt::format("broken after {} ({})", how_far, reason)};
    default:
      return {Kind::interrupted, reason};
  }
}

}  // namespace lay::registry
