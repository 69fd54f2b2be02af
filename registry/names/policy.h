#pragma once

#include <string>
#include <vector>

#include "registry/reference.h"

namespace lay::registry {

/// The scopes that a policy may have for an image, the most particular first: the whole name, its repository,
/// what that lies below down to the host, "*.example.com" for each domain of the host, and "" for all.
std::vector<std::string> policy_scopes(const Reference& reference);

/// What a containers-policy.json(5) says of an image that comes from a registry (transport "docker").
///   policy  the text of the file
///   throws  denied when it is rejected, unsupported when a signature is wanted, which lay cannot verify;
///           invalid for a text that is no policy
void check_policy(const std::string& policy, const Reference& reference);

/// check_policy() with the first that is there of ~/.config/containers/policy.json and
/// /etc/containers/policy.json. Without either every image is accepted.
void require_accepted(const Reference& reference);

}  // namespace lay::registry
