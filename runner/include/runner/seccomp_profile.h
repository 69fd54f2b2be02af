#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "runner/spec.h"

namespace lay::runner {

/// For whom the entries of a profile are chosen.
struct SeccompAudience {
  std::vector<std::string> capabilities;  ///< "CAP_SYS_ADMIN"
  std::string kernel;                     ///< release, as uname(2) has it: "6.18.5"
};

/// A profile as docker and podman have it (github.com/moby/profiles/seccomp, containers-common), or one of
/// the runtime-spec's form. Of its entries those stay whose "includes" are all there and whose "excludes" are
/// not (caps, arches, minKernel); "archMap" becomes the architectures of this machine's kernel. Pure. Throws
/// invalid, naming the entry that is wrong.
Seccomp parse_seccomp_profile(const Json& profile, const SeccompAudience& audience);

/// Whether a kernel of this release is at least `least` ("4.8"). Throws invalid when that is no version.
bool is_kernel_at_least(std::string_view release, const std::string& least);

}  // namespace lay::runner
