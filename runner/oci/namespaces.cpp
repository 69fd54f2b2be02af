#include "oci/namespaces.h"

#include <utility>

namespace lay::runner {

namespace {

bool is_cloned(NamespaceType type) {
  return type != NamespaceType::cgroup && type != NamespaceType::time;
}

}  // namespace

OciNamespaces open_oci_namespaces(const Spec& spec) {
  OciNamespaces namespaces;
  for (const Namespace& entry : spec.linux_.namespaces) {
    if (entry.path.empty()) {
      if (is_cloned(entry.type)) namespaces.clone_flags |= clone_flag_of(entry.type);
      continue;
    }
    JoinedNamespace joined{.type = entry.type, .fd = open_namespace(entry.path, entry.type)};
    if (entry.type != NamespaceType::user)
      namespaces.joined.push_back(std::move(joined));
    else if (!is_own_namespace(joined))
      namespaces.user = std::move(joined.fd);
  }
  return namespaces;
}

std::optional<ChildProcess> clone_into(const OciNamespaces& namespaces, const UniqueFd* birthplace) {
  NamespacesForChildren inside(namespaces.joined);
  auto process = namespaces.user
                     ? clone_in_user_namespace(namespaces.user, namespaces.clone_flags, birthplace)
                     : ChildProcess::clone(namespaces.clone_flags, birthplace);
  if (!process) inside.stay();
  return process;
}

}  // namespace lay::runner
