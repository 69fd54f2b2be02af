#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace lay::layerstore {

/// CRC-64/GO-ISO (ISO 3309, reflected), which tar-split keeps of each file. `before` is the checksum of the
/// bytes in front, 0 at the start.
std::uint64_t crc64_iso(std::uint64_t before, std::span<const std::byte> bytes);

/// The same without ISA-L.
std::uint64_t crc64_iso_by_table(std::uint64_t before, std::span<const std::byte> bytes);

}  // namespace lay::layerstore
