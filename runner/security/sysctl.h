#pragma once

#include <optional>
#include <string>

#include "runner/spec.h"

namespace lay::runner {

/// The kind of namespace that has a setting of its own ("net.ipv4.ip_forward", "net/ipv4/ip_forward"); empty
/// for those of the whole machine, and for what is no key ("../").
std::optional<NamespaceType> sysctl_namespace(const std::string& key);

enum class SysctlsOf {
  own,         ///< namespaces that are made for the container
  joined_too,  ///< and those of others; that they are not the host's is to be seen to where they are opened
};

/// Throws invalid for a sysctl of the spec that belongs to none of these namespaces, and would so set the
/// host's.
void check_sysctls(const Spec& spec, SysctlsOf whose = SysctlsOf::own);

/// In the child, in its new namespaces, while the host's /proc is still mounted: what is written there counts
/// for the namespaces of the writer. After the container's root is entered its /proc/sys is read-only.
void write_sysctls(const Spec& spec);

}  // namespace lay::runner
