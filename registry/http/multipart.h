#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "layerstore/partial.h"

namespace lay::registry {

/// "bytes=0-9,20-29" (RFC 9110 section 14.2).
std::string range_header(std::span<const layerstore::BlobPart> parts);

/// The bytes of `wanted`, in that order, from an answer to range_header(wanted).
///   content_type  has to be multipart/byteranges with a boundary (RFC 9110 section 14.6, RFC 2046)
///   body          one part for each of `wanted`, each with the Content-Range that was asked for
///   blob_size     what the parts have to say it is, unless they say "*"
///   returns       views into `body`; empty for anything else, be it legal: the parts can be asked for singly
std::optional<std::vector<std::string_view>> parse_multipart(const std::string& content_type,
                                                             std::string_view body,
                                                             std::span<const layerstore::BlobPart> wanted,
                                                             std::uint64_t blob_size);

}  // namespace lay::registry
