#include "codec/crc64.h"

#include <array>

#include "codec/isal_library.h"

namespace lay::layerstore {

namespace {

constexpr std::uint64_t kPolynomial = 0xd800000000000000;  // reflected

constexpr std::array<std::uint64_t, 256> make_table() {
  std::array<std::uint64_t, 256> table{};
  for (std::uint64_t byte = 0; byte < table.size(); ++byte) {
    std::uint64_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1U) != 0 ? crc >> 1U ^ kPolynomial : crc >> 1U;
    table[byte] = crc;
  }
  return table;
}

constexpr std::array<std::uint64_t, 256> kTable = make_table();

}  // namespace

std::uint64_t crc64_iso_by_table(std::uint64_t before, std::span<const std::byte> bytes) {
  std::uint64_t crc = ~before;
  for (const std::byte byte : bytes)
    crc = crc >> 8U ^ kTable[(crc ^ static_cast<std::uint8_t>(byte)) & 0xffU];
  return ~crc;
}

std::uint64_t crc64_iso(std::uint64_t before, std::span<const std::byte> bytes) {
  const IsalLibrary* library = isal_library();
  if (library == nullptr) return crc64_iso_by_table(before, bytes);
  return library->crc64_iso(before, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
}

}  // namespace lay::layerstore
