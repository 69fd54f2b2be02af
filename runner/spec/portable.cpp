#include "runner/portable.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "security/sysctl.h"
#include "security/user_lookup.h"
#include "spec/names.h"

namespace lay::runner {

namespace {

constexpr std::string_view kOwnPrefix = "dev.lay.";
/// crun 1.8 and runsc take no later one; what they do not know of 1.1 and 1.2 they pass over.
constexpr const char* kOldVersion = "1.0.2";

void refuse_own_features(const Spec& spec) {
  const auto refuse = [](const char* what, const char* hint) {
    throw Error::make(Errc::unsupported, "{} is lay's own: another runtime would leave it out", what)
        .with_hint(hint);
  };
  if (spec.process.has_init) refuse("--init", "put a program such as tini into the image, and name it");
  if (spec.annotations.contains(kLandlockAnnotation)) refuse("--landlock", "leave it out");
  if (spec.linux_.auto_ids) refuse("--userns auto", "give the ids: --userns 0:100000:65536");
}

/// Where the names are somebody else's, a runtime would refuse to set them, or rename others.
void settle_names(Spec& spec) {
  if (has_own_namespace(spec, NamespaceType::uts)) return;
  spec.hostname.clear();
  spec.domainname.clear();
}

/// The defaults are for a network namespace of its own, where there is none they would be the host's.
void settle_sysctls(Spec& spec) {
  if (!has_own_namespace(spec, NamespaceType::network))
    for (const auto& [key, value] : default_spec().linux_.sysctl)
      if (const auto entry = spec.linux_.sysctl.find(key);
          entry != spec.linux_.sysctl.end() && entry->second == value)
        spec.linux_.sysctl.erase(entry);
  check_sysctls(spec);
}

}  // namespace

Spec make_portable(Spec spec, const UniqueFd& root) {
  refuse_own_features(spec);
  spec.oci_version = kOldVersion;
  settle_user(spec.process, look_up_user(spec.process.user, root));
  settle_names(spec);
  settle_sysctls(spec);
  if (spec.linux_.seccomp == SeccompProfile::builtin) {
    spec.linux_.seccomp_rules = builtin_seccomp(spec.process.capabilities.bounding);
    spec.linux_.seccomp = SeccompProfile::listed;
  }
  return spec;
}

Json portable_json(const Spec& spec) {
  Json json = to_json(spec);
  Json& annotations = json["annotations"];
  for (auto entry = annotations.begin(); entry != annotations.end();)
    entry = entry.key().starts_with(kOwnPrefix) ? annotations.erase(entry) : std::next(entry);
  return json;
}

}  // namespace lay::runner
