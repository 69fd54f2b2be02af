#include "oci/namespaces.h"

#include <linux/nsfs.h>
#include <sys/ioctl.h>

#include "base/error.h"
#include "base/text.h"

namespace lay::runner {

namespace {

/// The container's mounts would stay on the host.
void require_not_the_hosts(const JoinedNamespace& joined, const std::string& path) {
  if (joined.type != NamespaceType::mount || !is_own_namespace(joined)) return;
  throw Error::make(Errc::unsupported, "the mount namespace '{}' is the host's", printable(path))
      .with_hint("a mount namespace without a path is one of the container's own");
}

/// What /proc and the bundle's paths are in a mount namespace, its owner decides; and lay writes there as
/// root. NS_GET_USERNS, ioctl_ns(2): EPERM for an owner out of reach.
void require_own_owner(const JoinedNamespace& joined, const std::string& path) {
  if (joined.type != NamespaceType::mount) return;
  JoinedNamespace owner{.type = NamespaceType::user, .fd = UniqueFd{::ioctl(joined.fd.get(), NS_GET_USERNS)}};
  if (owner.fd && is_own_namespace(owner)) return;
  throw Error::make(Errc::unsupported, "the mount namespace '{}' belongs to another user namespace",
                    printable(path))
      .with_hint("lay joins those that were made in its own, whose mounts only the host's root arranges");
}

JoinedNamespace open_joined(const Namespace& entry) {
  JoinedNamespace joined{.type = entry.type, .fd = open_namespace(entry.path, entry.type)};
  require_not_the_hosts(joined, entry.path);
  require_own_owner(joined, entry.path);
  return joined;
}

}  // namespace

NamespacePlan open_oci_namespaces(const Spec& spec) {
  NamespacePlan plan;
  for (const Namespace& entry : spec.linux_.namespaces) {
    if (entry.path.empty())
      plan.clone_flags |= cloned_flag_of(entry.type);
    else
      plan.join(open_joined(entry));
  }
  return plan;
}

}  // namespace lay::runner
