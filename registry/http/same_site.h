#pragma once

#include <string>

namespace lay::registry {

/// Whether two hosts belong to the same owner as far as their names tell: they are equal, or of the same
/// registrable domain by the Public Suffix List ("auth.docker.io" and "registry-1.docker.io", but not
/// "a.co.uk" and "b.co.uk"). The loopback addresses and localhost are one host; other addresses and hosts of
/// one label are only their own. Without libpsl, which is opened when it is needed first, only equal ones
/// are.
bool is_same_site(const std::string& a, const std::string& b);

}  // namespace lay::registry
