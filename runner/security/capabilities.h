#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "runner/spec.h"

namespace lay::runner {

/// "CAP_CHOWN", "chown" or "Chown" to its number; throws invalid. linux/capability.h.
int capability_number(std::string_view name);
/// As capability_number(); empty for what is none.
std::optional<int> find_capability(std::string_view name);
/// The reverse: "CAP_CHOWN".
std::string capability_name(int number);
/// One bit for each of them.
std::uint64_t capability_mask(const std::vector<std::string>& names);
/// What lay may hand on: its own bounding set, as far as the kernel and lay know the capabilities.
std::set<int> available_capabilities();
/// All that the kernel and lay know: what a user namespace that lay makes or enters can give.
std::set<int> known_capabilities();
/// The default set of design "Defaults of a container": podman's eleven, in all but inheritable and ambient.
Capabilities default_capabilities();

/// In the child. First half: drops the bounding set and asks to keep capabilities across the change of user.
void limit_bounding_set(const Capabilities& capabilities);
/// Second half, after setuid: sets effective, permitted, inheritable, ambient exactly.
void apply_capabilities(const Capabilities& capabilities);

}  // namespace lay::runner
