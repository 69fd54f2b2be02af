#pragma once

#include <string>

#include "base/error.h"
#include "http/http.h"

namespace lay::registry {

/// What a registry's refusal means, as one line: distribution-spec "Error Codes" where the body has them, a
/// few words about the body otherwise. `what` was attempted ("manifest of 'team/app:1'").
///   401 unauthorized, 403 denied, 404 not_found, 429 and 5xx unavailable, the rest invalid
Error api_error(const HttpResponse& response, const std::string& what);

/// The spec's messages, joined: "manifest unknown: unknown tag=1"; empty when the body has none.
std::string api_messages(const std::string& body);

}  // namespace lay::registry
