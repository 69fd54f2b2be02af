#pragma once

#include <optional>

#include "http/http.h"

namespace lay::registry {

constexpr int kMaxRedirects = 5;

/// Whether an answer sends this request elsewhere: 301, 302, 303, 307, 308 for GET and HEAD, 307 and 308 for
/// the others, whose body must arrive unchanged.
bool is_redirect(const HttpRequest& request, const HttpResponse& response);

/// The request that follows a redirect. Throws invalid when the answer has no usable Location, or leads from
/// https to http, or from a machine-local http registry to plain http elsewhere. The authorization and
/// Trust::registry are dropped when scheme, host or port change; since each hop starts from the one before,
/// it does not come back when a later hop leads to the first host again. The new host may not be nearer than
/// the one that answered (AddressClass), internal networks excepted.
HttpRequest plan_redirect(const HttpRequest& request, const HttpResponse& response);

/// A URL that an answer of `from` gives must not be less protected than `from`: throws invalid.
void check_not_downgraded(const Url& from, const Url& to);

}  // namespace lay::registry
