#include "tar/tar_fields.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace lay::layerstore {

namespace {

[[noreturn]] void throw_bad_number(std::string_view what) {
  throw Error::make(Errc::invalid, "the tar header's {} is not a number that fits", what);
}

/// Two's complement over all bits but the first, which marks the form (GNU tar manual, "Extensions").
std::int64_t parse_base256(std::span<const char> field, std::string_view what) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(field[i]); };
  const bool negative = (byte(0) & 0x40U) != 0;
  const std::uint8_t filler = negative ? 0xff : 0;
  const std::uint8_t first = negative ? byte(0) : byte(0) & 0x7fU;
  const std::size_t wide = field.size() - 8;  // bytes in front of the last eight: all must be sign
  std::uint64_t value = negative ? ~std::uint64_t{0} : 0;
  for (std::size_t i = 0; i < field.size(); ++i) {
    const std::uint8_t current = i == 0 ? first : byte(i);
    if (i < wide && current != filler) throw_bad_number(what);
    value = value << 8U | current;
  }
  const auto result = static_cast<std::int64_t>(value);
  if ((result < 0) != negative) throw_bad_number(what);
  return result;
}

std::int64_t signed_sum(const TarBlock& block) {
  std::int64_t sum = 0;
  for (const std::byte b : std::as_bytes(std::span(&block, 1))) sum += static_cast<std::int8_t>(b);
  return sum;
}

std::int64_t unsigned_sum(const TarBlock& block) {
  std::int64_t sum = 0;
  for (const std::byte b : std::as_bytes(std::span(&block, 1))) sum += std::to_integer<std::int64_t>(b);
  return sum;
}

}  // namespace

bool has_good_checksum(const TarBlock& block) {
  std::int64_t expected = 0;
  try {
    expected = parse_tar_number(block.checksum, "checksum");
  } catch (const Error&) {
    return false;
  }
  TarBlock blank = block;
  blank.checksum.fill(' ');
  return expected == unsigned_sum(blank) || expected == signed_sum(blank);
}

std::int64_t parse_tar_number(std::span<const char> field, std::string_view what) {
  if ((static_cast<std::uint8_t>(field.front()) & 0x80U) != 0) return parse_base256(field, what);
  const auto is_blank = [](char c) { return c == ' ' || c == '\0'; };
  const auto begin = std::find_if_not(field.begin(), field.end(), is_blank);
  const auto end = std::find_if(begin, field.end(), is_blank);
  if (!std::all_of(end, field.end(), is_blank)) throw_bad_number(what);
  std::int64_t value = 0;
  for (auto digit = begin; digit != end; ++digit) {  // at most twelve digits: no overflow
    if (*digit < '0' || *digit > '7') throw_bad_number(what);
    value = value * 8 + (*digit - '0');
  }
  return value;
}

std::string parse_tar_text(std::span<const char> field, std::string_view what) {
  const auto end = std::find(field.begin(), field.end(), '\0');
  if (!std::all_of(end, field.end(), [](char c) { return c == '\0'; }))
    throw Error::make(Errc::invalid, "the tar header's {} holds a NUL", what);
  return {field.begin(), end};
}

std::string parse_tar_path(const TarBlock& block) {
  const std::string name = parse_tar_text(block.name, "name");
  if (std::string_view(block.magic.data(), 6) != std::string_view("ustar\0", 6) || block.prefix[0] == '\0')
    return name;
  return parse_tar_text(block.prefix, "prefix") + "/" + name;
}

}  // namespace lay::layerstore
