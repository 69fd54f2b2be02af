#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace lay::layerstore {

constexpr std::size_t kTarBlock = 512;

/// pax extended headers and GNU long names longer than this are refused, by Go's archive/tar too.
constexpr std::size_t kMaxTarExtension = 1024 * 1024;

/// Before the name of an extended attribute in a pax record, as star began it and
/// Go, GNU tar and bsdtar read it.
constexpr std::string_view kPaxXattrPrefix = "SCHILY.xattr.";

/// One ustar header as it lies in the tar: POSIX.1-2017, pax, "ustar Interchange Format".
struct TarBlock {
  std::array<char, 100> name;
  std::array<char, 8> mode;
  std::array<char, 8> uid;
  std::array<char, 8> gid;
  std::array<char, 12> size;
  std::array<char, 12> mtime;
  std::array<char, 8> checksum;
  char type;
  std::array<char, 100> link;
  std::array<char, 8> magic;  ///< with the version
  std::array<char, 32> user;
  std::array<char, 32> group;
  std::array<char, 8> device_major;
  std::array<char, 8> device_minor;
  std::array<char, 155> prefix;
  std::array<char, 12> padding;
};
static_assert(sizeof(TarBlock) == kTarBlock);

/// The bytes needed after `size` bytes of data to reach a block's end.
constexpr std::size_t tar_padding(std::uint64_t size) {
  return (kTarBlock - size % kTarBlock) % kTarBlock;
}

}  // namespace lay::layerstore
