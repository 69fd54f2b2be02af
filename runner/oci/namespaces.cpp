#include "oci/namespaces.h"

#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "process/namespaces.h"
#include "spec/names.h"

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
    UniqueFd fd = open_namespace(entry.path, entry.type);
    if (entry.type == NamespaceType::user || entry.type == NamespaceType::time)
      throw Error::make(Errc::unsupported, "a {} namespace cannot be joined by its path ('{}')",
                        name_of(entry.type), printable(entry.path));
    if (entry.type == NamespaceType::pid)
      namespaces.pid = std::move(fd);
    else
      namespaces.joined.push_back(std::move(fd));
  }
  return namespaces;
}

std::optional<ChildProcess> clone_into(const OciNamespaces& namespaces, const UniqueFd* birthplace) {
  std::optional<PidNamespaceForChildren> inside;
  if (namespaces.pid) inside.emplace(namespaces.pid);
  return ChildProcess::clone(namespaces.clone_flags, birthplace);
}

}  // namespace lay::runner
