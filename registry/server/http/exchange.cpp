#include "server/http/exchange.h"

#include <algorithm>

#include "base/text.h"
#include "http/address.h"
#include "server/http/listener.h"

namespace lay::registry::server {

namespace {

/// What is read of a body that nobody wants, so that the client comes to read the answer.
constexpr std::uint64_t kDiscard = 8 * 1024 * 1024;

/// What skopeo and podman send when they are asked for Basic credentials and have none: ":".
constexpr const char* kNobody = "Basic Og==";

MHD_Result add_header(void* headers, MHD_ValueKind, const char* name, const char* value) {
  static_cast<RequestHeaders*>(headers)->add(name, value == nullptr ? "" : value);
  return MHD_YES;
}

/// What a client is told of a failure of the server; the operator is told all of it.
Refusal own_failure(const Error& error) {
  if (error.code() == Errc::no_space)
    return Refusal(507, error_code::kUnknown, "the registry's disk is full");
  return Refusal(500, error_code::kUnknown, "the registry failed; its operator's log says why");
}

Refusal stopping() {
  return Refusal(503, error_code::kUnknown, "the registry is being stopped", {{"Retry-After", "1"}});
}

Refusal login_wanted(const std::string& reason) {
  return Refusal(401, error_code::kUnauthorized, reason);
}

}  // namespace

/// Counted before it asks: whoever stops the server first says so and then looks at the count.
Exchange::Exchange(Service& service, std::string target)
    : service_(service),
      is_late_((service.metrics.request_begun(), service.is_draining)),
      raw_target_(std::move(target)) {}

Exchange::~Exchange() {
  action_ = {};  // which may still write to an upload
  service_.metrics.request_gone();
}

/// Does `work` on another thread, to which `add` gives a job; this leaves the exchange in another stage; then
/// step() is called again.
template <class Add, class Work>
MHD_Result Exchange::elsewhere(MHD_Connection* connection, Add add, Work work) {
  stage_ = Stage::working;
  service_.clients.work_begun(connection);
  microhttpd().suspend_connection(connection);
  add([&clients = service_.clients, connection, work = std::move(work)] {
    work();
    clients.work_ended(connection);
    microhttpd().resume_connection(connection);
  });
  return MHD_YES;
}

/// Whatever `body` throws becomes the response.
template <class Body>
void Exchange::answering(Body&& body) {
  try {
    body();
  } catch (const Refusal& refusal) {
    set_response(error_response(refusal));
  } catch (const Error& error) {
    service_.report(error);
    set_response(error_response(own_failure(error)));
  } catch (const std::exception& error) {
    service_.report(Error(Errc::io, error.what()));
    set_response(error_response(own_failure(Error(Errc::io, error.what()))));
  }
}

/// Also lets go of what the action holds: by the time the client reads the answer, an upload is free for its
/// next request.
void Exchange::set_response(Response response) {
  action_ = {};
  response_ = std::move(response);
  response_.headers.emplace_back("Docker-Distribution-Api-Version", "registry/2.0");
  response_.headers.emplace_back("X-Content-Type-Options", "nosniff");
  if (response_.status == 401)
    response_.headers.emplace_back("WWW-Authenticate",
                                   challenge_for(service_.login_ways, headers_, request_));
  stage_ = Stage::ready;
}

MHD_Result Exchange::step(MHD_Connection* connection, const char* method, std::span<const std::byte> body,
                          std::size_t* unread) {
  switch (stage_) {
    case Stage::fresh:
      try {
        read_headers(connection, method);
      } catch (const Refusal& refusal) {
        return refuse_for_good(connection, refusal);
      }
      if (is_late_) return refuse_for_good(connection, stopping());
      try {
        request_.target = parse_request_target(raw_target_);
        if (!service_.authenticator.is_needed() && !is_for_here())
          throw Refusal(403, error_code::kDenied,
                        "this registry is for programs on this machine, not for web pages");
      } catch (const Refusal& refusal) {
        return refuse(connection, refusal);
      }
      return authenticate(connection);
    case Stage::verified:
      return begin(connection);
    case Stage::unverified:
      return answer_refused(connection);
    case Stage::receiving:
    case Stage::discarding:
      if (body.empty()) return finish(connection);
      *unread = 0;
      received_ += body.size();
      return take(body);
    case Stage::ready:
      return send(connection);
    default:
      return MHD_YES;
  }
}

void Exchange::read_headers(MHD_Connection* connection, const char* method) {
  request_.method = method;
  const auto* address = microhttpd().get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
  if (address != nullptr && address->client_addr != nullptr) remote_ = format_address(*address->client_addr);
  microhttpd().get_connection_values(connection, MHD_HEADER_KIND, &add_header, &headers_);
  headers_.check();
  request_.length = headers_.is_chunked ? std::nullopt : std::optional(headers_.length.value_or(0));
  request_.content_type = headers_.content_type;
  request_.content_range = headers_.content_range;
  request_.range = headers_.range;
  request_.if_range = headers_.if_range;
  request_.if_none_match = headers_.if_none_match;
  request_.via = headers_.via;
}

bool Exchange::is_for_here() const {
  if (service_.only_host.empty()) return true;
  const std::string host = to_lower(host_without_port(headers_.host));
  const bool is_here = headers_.host.empty() || host == service_.only_host || is_loopback_host(host);
  return is_here && headers_.origin.empty();
}

/// Where those who have not said who they are learn that they can: clients use their credentials only then.
bool Exchange::needs_login() const {
  switch (request_.target.endpoint) {
    case Endpoint::base:
    case Endpoint::metrics:
      return true;
    case Endpoint::catalog:
      return !service_.lets_all_be_read;
    case Endpoint::token:
      return !service_.login_ways.lets_anonymous_in;
    default:
      return false;
  }
}

MHD_Result Exchange::begin_without_login(MHD_Connection* connection) {
  if (needs_login()) return refuse(connection, login_wanted("log in first"));
  if (!is_for_here())
    return refuse(connection,
                  login_wanted("log in first: this name is not the registry's own (--name), or a web "
                               "page asks"));
  return begin(connection);
}

MHD_Result Exchange::authenticate(MHD_Connection* connection) {
  stage_ = Stage::verified;
  const Endpoint endpoint = request_.target.endpoint;
  if (!service_.authenticator.is_needed() || endpoint == Endpoint::health) return begin(connection);
  if (headers_.authorization.empty() || headers_.authorization == kNobody)
    return begin_without_login(connection);
  if (const auto token = parse_bearer(headers_.authorization); token && endpoint != Endpoint::token) {
    // Who has got the token for nobody has no credentials to use
    if (Authenticator::is_nobody(*token))
      return endpoint == Endpoint::base ? begin(connection) : begin_without_login(connection);
    request_.user = service_.authenticator.user_of(*token);
    return request_.user ? begin(connection) : refuse(connection, login_wanted("the token has ended"));
  }
  const auto credentials = parse_basic(headers_.authorization);
  if (!credentials) return refuse(connection, login_wanted("the credentials are not of the form Basic"));
  if (service_.authenticator.knows(*credentials)) {
    request_.user = credentials->username;
    return begin(connection);
  }
  const auto add = [this](auto job) { service_.logins.add(std::move(job)); };
  return elsewhere(connection, add, [this, credentials = *credentials] {
    answering([&] {
      if (!service_.authenticator.verify(credentials)) throw login_wanted("user name or password is wrong");
      request_.user = credentials.username;
      stage_ = Stage::verified;
    });
    if (stage_ == Stage::ready) stage_ = Stage::unverified;
  });
}

/// /healthz, /metrics and /token.
Action Exchange::own_endpoint() const {
  const Endpoint endpoint = request_.target.endpoint;
  const bool reads = request_.method == "GET" || request_.method == "HEAD";
  if (endpoint == Endpoint::token && !service_.authenticator.is_needed())
    throw Refusal(404, error_code::kUnsupported, "nobody has to log in here");
  if (endpoint == Endpoint::token && !reads)
    throw Refusal(405, error_code::kUnsupported, "this path takes GET, HEAD", {{"Allow", "GET, HEAD"}});
  return {.take = {}, .finish = [this, endpoint] {
            if (endpoint == Endpoint::health)
              return json_response(200, R"({"status":"ok"})", "application/json");
            if (endpoint == Endpoint::token)
              return token_response(service_.authenticator.token_for(request_.user),
                                    service_.authenticator.token_lifetime());
            return json_response(200, service_.metrics.text(service_.registry.uploads.count()),
                                 "text/plain; version=0.0.4");
          }};
}

MHD_Result Exchange::begin(MHD_Connection* connection) {
  const Endpoint endpoint = request_.target.endpoint;
  answering([&] {
    const bool is_own =
        endpoint == Endpoint::health || endpoint == Endpoint::metrics || endpoint == Endpoint::token;
    action_ = is_own ? own_endpoint() : service_.api.begin(request_);
    stage_ = Stage::receiving;
  });
  was_welcome_ = stage_ == Stage::receiving && action_.take;
  return stage_ == Stage::receiving ? MHD_YES : answer_refused(connection);
}

/// A response before the end of the request closes the connection (libmicrohttpd), so the end is waited for
/// unless the body is long.
MHD_Result Exchange::answer_refused(MHD_Connection* connection) {
  const bool is_long = headers_.is_chunked || headers_.length.value_or(0) > kDiscard;
  if (is_long) return send(connection);
  stage_ = Stage::discarding;
  return MHD_YES;
}

MHD_Result Exchange::refuse(MHD_Connection* connection, const Refusal& refusal) {
  set_response(error_response(refusal));
  return answer_refused(connection);
}

/// Where such a request ends is in doubt, and so whose the next bytes are: nothing more of the connection is
/// read.
MHD_Result Exchange::refuse_for_good(MHD_Connection* connection, const Refusal& refusal) {
  set_response(error_response(refusal));
  response_.headers.emplace_back("Connection", "close");
  return send(connection);
}

MHD_Result Exchange::take(std::span<const std::byte> body) {
  if (stage_ == Stage::receiving && action_.take) {
    answering([&] { action_.take(body); });
    if (stage_ == Stage::ready) stage_ = Stage::discarding;
    return MHD_YES;
  }
  // Nobody wants it: a client that goes on for long is cut off. Not one whose body was welcome and has an
  // end, or failed by no fault of the client's: it reads why (a full disk) only behind its last byte,
  // libmicrohttpd has no answer in the midst of a body.
  if (was_welcome_ && (request_.length || response_.status >= 500)) return MHD_YES;
  discarded_ += body.size();
  return discarded_ > 2 * kDiscard ? MHD_NO : MHD_YES;
}

MHD_Result Exchange::finish(MHD_Connection* connection) {
  if (stage_ == Stage::discarding) return send(connection);
  const auto work = [this] { answering([this] { set_response(action_.finish()); }); };
  const auto fly = [this](auto job) {
    if (action_.errand == Action::Errand::fetch)
      service_.fetchers.add(action_.hops, action_.flight, std::move(job));
    else
      service_.checkers.add(action_.flight, std::move(job));
  };
  const auto block = [this](auto job) { service_.workers.add(std::move(job)); };
  if (action_.errand != Action::Errand::none) return elsewhere(connection, fly, work);
  if (action_.blocks) return elsewhere(connection, block, work);
  work();
  return send(connection);
}

MHD_Result Exchange::send(MHD_Connection* connection) {
  stage_ = Stage::sent;
  service_.clients.answer_begun(connection);
  const auto status = static_cast<unsigned>(response_.status);
  if (service_.is_draining && !is_late_) response_.headers.emplace_back("Connection", "close");
  // The length is that of the body all the same (RFC 9110 section 8.6)
  const bool has_body = request_.method != "HEAD" && response_.status != 304;
  Response response{.status = response_.status,
                    .headers = std::move(response_.headers),
                    .body = std::move(response_.body),
                    .file = std::move(response_.file),
                    .parts = std::move(response_.parts),
                    .trailer = std::move(response_.trailer),
                    .is_head = !has_body};
  MHD_Response* made = make_response(std::move(response), to_send_);
  if (made == nullptr) return MHD_NO;
  if (!has_body) to_send_ = 0;
  const MHD_Result result = microhttpd().queue_response(connection, status, made);
  microhttpd().destroy_response(made);
  return result;
}

void Exchange::completed(bool is_whole, std::uint64_t taken) {
  const auto duration =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - clock_);
  const bool is_answered = stage_ == Stage::sent;
  const int status = is_answered ? response_.status : 499;
  const std::uint64_t sent = is_whole ? to_send_ : std::min(to_send_, taken);
  service_.metrics.request_ended(request_.method, status, duration, received_, sent);
  service_.log.write({.begun = begun_,
                      .remote = remote_,
                      .user = request_.user.value_or(""),
                      .method = request_.method,
                      .target = raw_target_,
                      .agent = headers_.user_agent,
                      .status = status,
                      .received = received_,
                      .sent = sent,
                      .duration = duration,
                      .is_whole = is_whole && is_answered});
}

}  // namespace lay::registry::server
