#pragma once

#include <cstdint>
#include <optional>

#include "layerstore/descriptor.h"

namespace lay::layerstore {

/// How well what is for `offered` fits a machine of `wanted`, more is better: of "vN" up to its own, of no
/// variant any. Empty when it does not.
std::optional<std::uint64_t> platform_rank(const Platform& offered, const Platform& wanted);

}  // namespace lay::layerstore
