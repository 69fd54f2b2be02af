#pragma once

#include <string>
#include <string_view>

/// The files that lay binds over the image's own in /etc: what they say, as pure functions.
namespace lay::runner {

/// /etc/hosts: the loopback names and, where there is an address, the container's own.
std::string hosts_text(const std::string& hostname, const std::string& address);

/// /etc/resolv.conf for a container with a network of its own, from the host's: name servers on loopback
/// addresses cannot be reached from there and are dropped; when none is left, public ones take their place
/// and a comment says so.
std::string resolv_conf_text(std::string_view host_text);

}  // namespace lay::runner
