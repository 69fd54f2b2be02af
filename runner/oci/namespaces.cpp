#include "oci/namespaces.h"

#include <linux/nsfs.h>
#include <sys/ioctl.h>

#include "base/error.h"
#include "base/text.h"
#include "security/sysctl.h"
#include "spec/names.h"

namespace lay::runner {

namespace {

/// The container's mounts would stay on the host.
void require_not_the_hosts(const JoinedNamespace& joined, const std::string& path) {
  if (joined.type != NamespaceType::mount || !is_own_namespace(joined)) return;
  throw Error::make(Errc::unsupported, "the mount namespace '{}' is the host's", printable(path))
      .with_hint("a mount namespace without a path is one of the container's own");
}

/// A name of the container would be the host's.
void require_no_names(const JoinedNamespace& joined, const Spec& spec) {
  const bool has_names = !spec.hostname.empty() || !spec.domainname.empty();
  if (joined.type != NamespaceType::uts || !has_names || !is_own_namespace(joined)) return;
  throw Error(Errc::invalid, "the uts namespace is the host's, whose hostname and domainname stay")
      .with_hint("leave them out, or the path of the namespace");
}

void require_no_sysctls(const JoinedNamespace& joined, const Spec& spec) {
  if (spec.linux_.sysctl.empty() || !is_own_namespace(joined)) return;
  for (const auto& [key, value] : spec.linux_.sysctl)
    if (sysctl_namespace(key) == joined.type)
      throw Error::make(Errc::invalid, "sysctl '{}' would change the host: the {} namespace is its own",
                        printable(key), name_of(joined.type))
          .with_hint("leave it out, or the path of the namespace");
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

JoinedNamespace open_joined(const Spec& spec, const Namespace& entry) {
  JoinedNamespace joined{.type = entry.type, .fd = open_namespace(entry.path, entry.type)};
  require_not_the_hosts(joined, entry.path);
  require_own_owner(joined, entry.path);
  require_no_names(joined, spec);
  require_no_sysctls(joined, spec);
  return joined;
}

}  // namespace

NamespacePlan open_oci_namespaces(const Spec& spec) {
  NamespacePlan plan;
  for (const Namespace& entry : spec.linux_.namespaces) {
    if (entry.path.empty())
      plan.clone_flags |= cloned_flag_of(entry.type);
    else
      plan.join(open_joined(spec, entry));
  }
  plan.leave_ipc_to_root();
  return plan;
}

}  // namespace lay::runner
