#pragma once

#include <string>
#include <vector>

#include "runner/spec.h"

/// Changes to what default_spec() keeps a container from. All throw invalid for what there is not.
namespace lay::runner {

/// The default capabilities without `drop` and with `add`; names as capability_number() takes them, or "ALL":
/// on the `drop` side everything, on the `add` side everything that lay itself has here (a machine may keep
/// some to itself). A name on both sides is refused, as podman does.
Capabilities choose_capabilities(const std::vector<std::string>& add, const std::vector<std::string>& drop);

/// Gives the container these. That they are ALL but some, and not so many one by one, is kept in the
/// annotation "dev.lay.capabilities": another runtime may know fewer, and give ALL of them.
void grant_capabilities(Spec& spec, const std::vector<std::string>& add,
                        const std::vector<std::string>& drop);

/// Adds the device `host` of this machine, or every one in that folder, as `inside`, and lets the container
/// use it: `access` has some of r, w and m (mknod). Throws not_found, too.
void add_device(Spec& spec, const std::string& host, const std::string& inside, const std::string& access);

/// Takes `path`, or with "ALL" every path, from the masked and the read-only ones; a pattern as fnmatch(3)
/// has it.
void unmask(Spec& spec, const std::string& path);

/// Landlock for the container's processes: "ro=/usr,/lib,rw=/tmp,bind=80,connect=none,scope=abstract,signal".
/// A kind that is not named is not restricted. Kept in the annotation "dev.lay.landlock". Throws unsupported,
/// too.
void restrict_by_landlock(Spec& spec, const std::string& rules);

/// Throws what a start would of seccomp profile, landlock rules and sysctls.
void check_isolation(const Spec& spec);

/// As `--privileged` of docker and podman: every capability and device that lay has, no seccomp, no masked or
/// read-only path. Namespaces stay. Container and host are then one as far as root is concerned.
void make_privileged(Spec& spec);

}  // namespace lay::runner
