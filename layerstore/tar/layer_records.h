#pragma once

#include <cstdint>

#include "base/stream.h"

namespace lay::layerstore {

/// Copies the tar of a plain root as that of a layer: byte for byte but for pax headers that have access
/// lists as text, which no reader of layers heeds, or attributes of a nested overlay (as_layer_records()).
///   out      not finished here
///   returns  bytes written
///   throws   as TarReader and parse_acl_text()
std::uint64_t copy_as_layer(ByteSource& in, ByteSink& out);

}  // namespace lay::layerstore
