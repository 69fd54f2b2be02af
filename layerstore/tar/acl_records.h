#pragma once

#include <cstdint>

#include "base/stream.h"

namespace lay::layerstore {

/// Copies a tar, byte for byte but for pax headers that have access lists as text, which no reader of layers
/// heeds: they become extended attributes (pax.h).
///   out      not finished here
///   returns  bytes written
///   throws   as TarReader and parse_acl_text()
std::uint64_t copy_with_acls(ByteSource& in, ByteSink& out);

}  // namespace lay::layerstore
