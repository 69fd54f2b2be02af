#pragma once

#include <string_view>

#include "base/error.h"

namespace lay::runner {

/// In a container's folder, from its first start on.
inline constexpr const char* kStateFile = "state.json";

/// In containers/, where no id can have this name: a symlink for each container's name, to its id.
inline constexpr const char* kNames = ".names";

/// True for [A-Za-z0-9][A-Za-z0-9_.-]* of at most 128 characters: what may name a container.
bool is_container_name(std::string_view text);
/// True for 1 to 64 lower-case hexadecimal digits: an id or the beginning of one.
bool is_id_prefix(std::string_view text);
/// not_found, with the hint where all are listed.
Error no_container(std::string_view name);

}  // namespace lay::runner
