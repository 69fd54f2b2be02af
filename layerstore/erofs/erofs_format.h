#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

/// The part of the EROFS on-disk format that a layer needs: uncompressed, blocks of 512 bytes because the
/// data of a tar are aligned to no more, files as chunks of a second device, which is the tar: one for a
/// whole file, several where it has holes. All numbers are little endian. Source: Linux, fs/erofs/erofs_fs.h
/// and Documentation/filesystems/erofs.rst.
namespace lay::layerstore::erofs {

static_assert(std::endian::native == std::endian::little, "on-disk structures are written as they are");

constexpr unsigned kBlockBits = 9;
constexpr std::uint64_t kBlock = 1U << kBlockBits;
constexpr std::uint64_t kSuperOffset = 1024;
constexpr std::uint32_t kMagic = 0xE0F5E1E2;
constexpr std::uint32_t kCompatMtime = 0x2;
constexpr std::uint32_t kIncompatChunked = 0x4;
constexpr std::uint32_t kIncompatDeviceTable = 0x8;
constexpr std::uint64_t kDeviceSlotUnit = 128;
constexpr std::uint64_t kInodeUnit = 32;  ///< an inode's number is its offset in these

struct Super {
  std::uint32_t magic;
  std::uint32_t checksum;
  std::uint32_t feature_compat;
  std::uint8_t block_bits;
  std::uint8_t extra_slots;
  std::uint16_t root;
  std::uint64_t inodes;
  std::uint64_t epoch;
  std::uint32_t epoch_nsec;
  std::uint32_t blocks;
  std::uint32_t meta_block;
  std::uint32_t xattr_block;
  std::array<std::uint8_t, 16> uuid;
  std::array<char, 16> volume_name;
  std::uint32_t feature_incompat;
  std::uint16_t algorithms;
  std::uint16_t extra_devices;
  std::uint16_t device_table;  ///< in units of kDeviceSlotUnit
  std::uint8_t dir_block_bits;
  std::uint8_t xattr_prefixes;
  std::uint32_t xattr_prefix_start;
  std::uint64_t packed_inode;
  std::array<std::uint8_t, 24> reserved;
};
static_assert(sizeof(Super) == 128);

struct DeviceSlot {
  std::array<std::uint8_t, 64> tag;
  std::uint32_t blocks;
  std::uint32_t mapped_block;
  std::array<std::uint8_t, 56> reserved;
};
static_assert(sizeof(DeviceSlot) == kDeviceSlotUnit);

enum class DataLayout : std::uint16_t {
  plain = 0,        ///< whole blocks of the image
  inline_tail = 2,  ///< as plain, but the last block's bytes follow the inode, within one block
  chunks = 4,       ///< chunks of any device
};

/// The extended form: 32-bit owners and a time of its own.
struct Inode {
  std::uint16_t format;  ///< bit 0: extended; from bit 1: DataLayout
  std::uint16_t xattr_count;
  std::uint16_t mode;
  std::uint16_t reserved_low;
  std::uint64_t size;
  std::uint32_t place;  ///< first block, device number or chunk format
  std::uint32_t number;
  std::uint32_t uid;
  std::uint32_t gid;
  std::int64_t mtime;
  std::uint32_t mtime_nsec;
  std::uint32_t links;
  std::array<std::uint8_t, 16> reserved;
};
static_assert(sizeof(Inode) == 64);

constexpr std::uint16_t kExtended = 1;
constexpr unsigned kLayoutShift = 1;

constexpr std::uint32_t kChunkIndexes = 0x20;   ///< in Inode::place
constexpr std::uint32_t kChunkBitsMask = 0x1f;  ///< log2 of the chunk in blocks
constexpr unsigned kMaxChunkBits = kBlockBits + kChunkBitsMask;
constexpr std::uint32_t kNoBlock = 0xffffffff;  ///< of a chunk that is a hole

struct ChunkIndex {
  std::uint16_t block_high;
  std::uint16_t device;  ///< 1: the first slot of the device table
  std::uint32_t block;
};
static_assert(sizeof(ChunkIndex) == 8);

struct Dirent {
  std::uint64_t inode;
  std::uint16_t name_offset;  ///< within the block; the first one tells how many there are
  std::uint8_t type;
  std::uint8_t reserved;
} __attribute__((packed));
static_assert(sizeof(Dirent) == 12);

struct XattrHeader {
  std::uint32_t name_filter;
  std::uint8_t shared;
  std::array<std::uint8_t, 7> reserved;
};
static_assert(sizeof(XattrHeader) == 12);

struct XattrEntry {
  std::uint8_t name_size;
  std::uint8_t prefix;
  std::uint16_t value_size;
};
static_assert(sizeof(XattrEntry) == 4);

struct XattrPrefix {
  std::uint8_t index;
  std::string_view text;
};
constexpr std::array<XattrPrefix, 5> kXattrPrefixes{{{1, "user."},
                                                     {2, "system.posix_acl_access"},
                                                     {3, "system.posix_acl_default"},
                                                     {4, "trusted."},
                                                     {6, "security."}}};

constexpr std::uint64_t align(std::uint64_t offset, std::uint64_t unit) {
  return (offset + unit - 1) / unit * unit;
}

/// As the kernel's new_encode_dev().
constexpr std::uint32_t encode_device(unsigned major, unsigned minor) {
  return (minor & 0xffU) | (major << 8U) | ((minor & ~0xffU) << 12U);
}
constexpr unsigned device_major(std::uint32_t encoded) {
  return (encoded & 0xfff00U) >> 8U;
}
constexpr unsigned device_minor(std::uint32_t encoded) {
  return (encoded & 0xffU) | ((encoded >> 12U) & 0xfff00U);
}

}  // namespace lay::layerstore::erofs
