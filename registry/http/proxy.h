#pragma once

#include <string>
#include <string_view>

#include "http/url.h"

namespace lay::registry {

/// The proxy that the environment names for `url`, as libcurl takes it; empty: none. http_proxy or
/// https_proxy, else all_proxy, each in lower case before upper case; never for this machine or what no_proxy
/// excepts. HTTP_PROXY is not read in a CGI program (REQUEST_METHOD is set), where a request's header sets
/// it.
std::string find_proxy(const Url& url);

/// The same for people to read: without the user name and password that it may have.
std::string shown_proxy(const Url& url);

/// Whether `list` (no_proxy) excepts the host of `url`, as Go's programs read it: "host" with its subdomains,
/// ".domain" and "*.domain" for subdomains alone, each with ":port" for that port, addresses, nets, "*" for
/// all.
bool is_excepted(std::string_view list, const Url& url);

}  // namespace lay::registry
