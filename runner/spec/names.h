#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "runner/spec.h"

/// The words that config.json has for lay's enumerations.
namespace lay::runner {

/// The built-in seccomp profile stands in config.json by name.
constexpr const char* kSeccompAnnotation = "dev.lay.seccomp";
/// "true": Process::has_init.
constexpr const char* kInitAnnotation = "dev.lay.init";
/// Rules as parse_landlock() takes them.
constexpr const char* kLandlockAnnotation = "dev.lay.landlock";
/// "all": the capabilities are ALL, but for those that were dropped.
constexpr const char* kCapabilitiesAnnotation = "dev.lay.capabilities";
constexpr const char* kAllCapabilities = "all";
/// "auto:65536": how many ids a user namespace is given at start.
constexpr const char* kUserNamespaceAnnotation = "dev.lay.userns";
constexpr std::string_view kAutoIds = "auto:";

std::string name_of(NamespaceType type);
std::optional<NamespaceType> namespace_type(std::string_view name);
std::string name_of(SeccompProfile profile);
std::optional<SeccompProfile> seccomp_profile(std::string_view name);

}  // namespace lay::runner
