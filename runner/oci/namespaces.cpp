#include "oci/namespaces.h"

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

JoinedNamespace open_joined(const Namespace& entry) {
  JoinedNamespace joined{.type = entry.type, .fd = open_namespace(entry.path, entry.type)};
  require_not_the_hosts(joined, entry.path);
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
