#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runner/resolver.h"

/// The files that lay binds over the image's own in /etc: what they say, as pure functions.
namespace lay::runner {

/// What a container's own name leads to where it has no other address.
inline constexpr const char* kOwnLoopback = "127.0.1.1";

/// /etc/hosts: the loopback names, `more`, and the container's own. With the `host`'s file, which is that of
/// the network, its lines take the place of the loopback names; `more` goes before them.
std::string hosts_text(const std::string& hostname, const std::string& address,
                       const std::vector<HostEntry>& more = {}, std::string_view host = {});

enum class HostLoopback { in_reach, out_of_reach };

/// Whether the only name server is systemd-resolved's on loopback; then the servers that it asks itself stand
/// in kSystemdResolvConf.
bool asks_systemd_resolved(std::string_view host_text);
inline constexpr const char* kSystemdResolvConf = "/run/systemd/resolve/resolv.conf";

/// /etc/resolv.conf from the host's, with what `resolver` puts in its place. With a network of its own
/// (`out_of_reach`) the host's name servers on loopback addresses are dropped; when none is left, public ones
/// take their place and a comment says so.
std::string resolv_conf_text(std::string_view host_text, const ResolverConfig& resolver = {},
                             HostLoopback loopback = HostLoopback::out_of_reach);

}  // namespace lay::runner
