#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "tar/tar_block.h"

/// The fields of one ustar header, read strictly: what two readers of tar could
/// understand differently is refused.
namespace lay::layerstore {

/// Both the sum of unsigned bytes and that of signed ones, which old writers made, are good.
bool has_good_checksum(const TarBlock& block);

/// Octal digits, or GNU's base-256 for what they cannot hold. `what` names the field in errors.
/// Throws invalid when it is neither, or does not fit 64 bits.
std::int64_t parse_tar_number(std::span<const char> field, std::string_view what);

/// Text up to the first NUL; throws invalid when other bytes follow the NUL, which some readers would show.
std::string parse_tar_text(std::span<const char> field, std::string_view what);

/// Name and prefix put together. GNU's variant of the header has no prefix: times stand in its place.
std::string parse_tar_path(const TarBlock& block);

}  // namespace lay::layerstore
