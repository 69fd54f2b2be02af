#pragma once

#include <string_view>

namespace lay::cli {

/// The way to what a flag of docker or podman is for that lay does not have: "--gpus". Empty for any other
/// name.
std::string_view way_without_flag(std::string_view name);

}  // namespace lay::cli
