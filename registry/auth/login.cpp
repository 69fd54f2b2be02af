#include <algorithm>

#include "auth/authorizer.h"
#include "base/error.h"
#include "client/api_error.h"
#include "client/client.h"
#include "client/endpoint.h"
#include "registry/transfer.h"

namespace lay::registry {

void check_login(const std::string& place, const Credentials& credentials, const Connection& given) {
  const std::string domain = place.substr(0, place.find('/'));
  const std::string repository = place.substr(std::min(domain.size() + 1, place.size()));
  const Reference target{.domain = domain, .repository = repository, .tag = "", .digest = std::nullopt};
  const Connection connection = connection_to(plan_target(given.conf.get(), target), domain, given);
  const HttpClient http(http_options(domain, connection));
  const Endpoint endpoint = find_endpoint(http, domain, connection.tls_verify, connection.patience);
  if (endpoint.greeting.status != 401) return;  // open to everybody: there is nothing to check
  with_context("registry " + domain, [&] {
    Authorizer authorizer(http, endpoint, place, credentials, connection);
    HttpRequest request{.url = endpoint.greeting.url};
    request.authorization = authorizer.answer(endpoint.greeting, "", "", {});
    const HttpResponse response = http.follow(request);
    if (response.status == 401)
      throw Error(Errc::unauthorized, "the credentials were refused")
          .with_hint("check user name and password");
    if (!response.ok()) throw api_error(response, "log in");
  });
}

}  // namespace lay::registry
