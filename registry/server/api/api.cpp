#include "server/api/api.h"

#include "base/json.h"
#include "base/text.h"

namespace lay::registry::server {

namespace {

constexpr const char* kJson = "application/json";

Action answer(std::function<Response()> finish) {
  return {.take = {}, .finish = std::move(finish), .blocks = false};
}

Action answer_blocking(std::function<Response()> finish) {
  return {.take = {}, .finish = std::move(finish), .blocks = true};
}

bool is_reading(const std::string& method) {
  return method == "GET" || method == "HEAD";
}

/// What the request wants to do, by method and endpoint.
Right right_for(const Request& request) {
  if (is_reading(request.method))
    return request.target.endpoint == Endpoint::upload ? Right::write : Right::read;
  if (request.method == "DELETE" && request.target.endpoint != Endpoint::upload) return Right::remove;
  return Right::write;
}

Refusal wrong_method(const std::string& allowed) {
  return Refusal(405, error_code::kUnsupported, "this path takes " + allowed, {{"Allow", allowed}});
}

}  // namespace

std::string location_of(const std::string& repository, const std::string& rest) {
  return "/v2/" + repository + "/" + rest;
}

std::string etag_of(const layerstore::Digest& digest) {
  return '"' + digest.to_string() + '"';
}

bool is_known(const Request& request, const std::string& etag) {
  return request.if_none_match == "*" || request.if_none_match.find(etag) != std::string::npos;
}

Response json_response(int status, const std::string& document, const std::string& content_type) {
  return {.status = status, .headers = {{"Content-Type", content_type}}, .body = document};
}

Response error_response(const Refusal& refusal) {
  const Json document{{"errors", Json::array({Json{{"code", refusal.code()},
                                                   {"message", printable(refusal.message())},
                                                   {"detail", nullptr}}})}};
  Response response = json_response(refusal.status(), dump_json(document), kJson);
  response.headers.insert(response.headers.end(), refusal.headers().begin(), refusal.headers().end());
  return response;
}

Api::Api(Registry& registry, AccessRules rules, Writes writes, std::function<void(const Error&)> report)
    : registry_(registry),
      rules_(std::move(rules)),
      writes_(writes),
      left_(registry.store, std::move(report)) {}

bool Api::may(const Request& request, const std::string& repository, Right right) const {
  return rules_.allows(request.user, repository, right);
}

void Api::require(const Request& request, Right right) const {
  const std::string& repository = request.target.repository;
  if (!may(request, repository, right)) {
    if (!request.user) throw Refusal(401, error_code::kUnauthorized, "log in to do this");
    throw Refusal(403, error_code::kDenied,
                  "user '" + *request.user + "' may not do this in repository '" + repository + "'");
  }
  if (writes_ == Writes::refused && right > Right::read)
    throw Refusal(405, error_code::kUnsupported, "this registry is read-only");
}

Action Api::begin(const Request& request) {
  const std::string& method = request.method;
  const bool reads = is_reading(method);
  const Endpoint endpoint = request.target.endpoint;
  if (endpoint == Endpoint::base || endpoint == Endpoint::catalog) {
    if (!reads) throw wrong_method("GET, HEAD");
    if (endpoint == Endpoint::base) return answer([] { return json_response(200, "{}", kJson); });
    return answer([this, request] { return list_repositories(request); });
  }
  require(request, right_for(request));
  switch (endpoint) {
    case Endpoint::tags:
      if (!reads) throw wrong_method("GET, HEAD");
      return answer([this, request] { return list_tags(request); });
    case Endpoint::referrers:
      if (!reads) throw wrong_method("GET, HEAD");
      return answer([this, request] { return list_referrers(request); });
    case Endpoint::blob:
      if (reads) return read_blob(request);
      if (method == "DELETE") return answer_blocking([this, request] { return delete_blob(request); });
      throw wrong_method("GET, HEAD, DELETE");
    case Endpoint::manifest:
      if (reads) return answer([this, request] { return get_manifest(request); });
      if (method == "PUT") return receive_manifest(request);
      if (method == "DELETE") return answer_blocking([this, request] { return delete_manifest(request); });
      throw wrong_method("GET, HEAD, PUT, DELETE");
    case Endpoint::upload_start:
      if (method == "POST") return begin_upload(request);
      throw wrong_method("POST");
    case Endpoint::upload:
      if (reads) return answer([this, request] { return upload_status(request); });
      if (method == "PATCH") return append(request);
      if (method == "PUT") return complete_upload(request);
      if (method == "DELETE") return answer_blocking([this, request] { return cancel_upload(request); });
      throw wrong_method("GET, HEAD, PATCH, PUT, DELETE");
    default:
      throw Refusal(404, error_code::kUnsupported, "there is nothing at this path");
  }
}

}  // namespace lay::registry::server
