#include "http/redirect.h"

#include <algorithm>

#include "base/error.h"

namespace lay::registry {

bool is_redirect(const HttpRequest& request, const HttpResponse& response) {
  switch (response.status) {
    case 301:
    case 302:
    case 303:
      return request.method == "GET" || request.method == "HEAD";
    case 307:
    case 308:
      return true;
    default:
      return false;
  }
}

void check_not_downgraded(const Url& from, const Url& to) {
  if (to.is_https() || to.same_origin(from)) return;
  if (from.is_https())
    throw Error::make(Errc::invalid, "'{}' sends us from https to plain http at '{}'", from.authority(),
                      to.authority())
        .with_hint("the registry or a proxy in front of it does not know that it is reached through https");
  if (is_loopback_host(from.host()) && !is_loopback_host(to.host()))
    throw Error::make(Errc::invalid, "'{}' sends us to plain http at '{}'", from.authority(), to.authority());
}

HttpRequest plan_redirect(const HttpRequest& request, const HttpResponse& response) {
  const std::string location = response.headers.get("location");
  if (location.empty())
    throw Error::make(Errc::invalid, "status {} from '{}' without a location", response.status,
                      request.url.authority());
  HttpRequest next = request;
  next.url = with_context("redirect", [&] { return request.url.resolve(location); });
  check_not_downgraded(request.url, next.url);
  if (!next.url.same_origin(request.url)) {
    next.authorization.clear();
    next.trust = Trust::host;
    next.nearest = std::min(next.nearest, std::max(response.peer, AddressClass::internal));
  }
  return next;
}

}  // namespace lay::registry
