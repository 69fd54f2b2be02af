#include "erofs/erofs_writer.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "erofs/erofs_format.h"

namespace lay::layerstore {

namespace {

using namespace std::string_view_literals;  // NOLINT: the literals alone

constexpr std::uint64_t kMetaStart = erofs::kSuperOffset + sizeof(erofs::Super) + sizeof(erofs::DeviceSlot);
static_assert(kMetaStart % erofs::kInodeUnit == 0);
constexpr std::uint64_t kDeviceTable = kDeviceTableOffset / erofs::kDeviceSlotUnit;
constexpr std::size_t kBuffer = 256 * 1024;
/// A longer tail is not worth moving its inode to where it fits.
constexpr std::uint64_t kMaxInlineTail = 384;

/// All chunks of a layer together: 128 MiB of image.
constexpr std::uint64_t kMaxChunks = std::uint64_t{1} << 24U;

/// Whether a block is its folder's last.
enum class IsLast { no, yes };

/// Where one inode goes.
struct Place {
  std::uint64_t offset = 0;     ///< of the inode; 0: not part of the tree
  std::uint32_t block = 0;      ///< of the first whole data block, counted from the first in the image
  std::uint8_t chunk_bits = 0;  ///< log2 of a chunk of a file, bytes
  erofs::DataLayout layout = erofs::DataLayout::plain;
};

template <class Record>
std::string_view bytes_of(const Record& record) {
  return {reinterpret_cast<const char*>(&record), sizeof record};
}

const erofs::XattrPrefix& prefix_of(std::string_view name) {
  for (const erofs::XattrPrefix& prefix : erofs::kXattrPrefixes)
    if (name.starts_with(prefix.text)) return prefix;
  throw Error::make(Errc::unsupported, "extended attribute '{}' is none that a file can have",
                    printable(name));
}

std::uint64_t entry_size(const KeptXattr& xattr) {
  constexpr std::size_t kMaxValue = std::numeric_limits<decltype(erofs::XattrEntry::value_size)>::max();
  if (xattr.value.size() > kMaxValue)
    throw Error::make(Errc::unsupported, "extended attribute '{}' has {} bytes, more than {}",
                      printable(xattr.name), xattr.value.size(), kMaxValue);
  const std::uint64_t name_size = xattr.name.size() - prefix_of(xattr.name).text.size();
  return erofs::align(sizeof(erofs::XattrEntry) + name_size + xattr.value.size(), 4);
}

std::uint64_t xattrs_size(const LayerInode& inode) {
  if (inode.extras().xattrs.empty()) return 0;
  std::uint64_t size = sizeof(erofs::XattrHeader);
  for (const KeptXattr& xattr : inode.extras().xattrs) size += entry_size(xattr);
  return size;
}

/// i_xattr_icount: units of four bytes after the header, which counts as one.
std::uint16_t xattr_count(const LayerInode& inode) {
  const std::uint64_t size = xattrs_size(inode);
  if (size == 0) return 0;
  const std::uint64_t count = 1 + (size - sizeof(erofs::XattrHeader)) / 4;
  if (count > std::numeric_limits<std::uint16_t>::max())
    throw Error::make(Errc::unsupported, "the extended attributes of one file take {} bytes, more than {}",
                      size, 4 * std::numeric_limits<std::uint16_t>::max());
  return static_cast<std::uint16_t>(count);
}

std::uint8_t dirent_type(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return 1;
    case S_IFDIR:
      return 2;
    case S_IFCHR:
      return 3;
    case S_IFBLK:
      return 4;
    case S_IFIFO:
      return 5;
    default:
      return 7;  // symlink
  }
}

/// log2 of the largest chunk of which each lies in one region or in none; one as long as the file where there
/// are no holes.
unsigned chunk_bits(const LayerInode& file) {
  unsigned bits = std::max(static_cast<unsigned>(std::bit_width(file.size - 1)), erofs::kBlockBits);
  const auto divide = [&](std::uint64_t border) {
    if (border > 0 && border < file.size)
      bits = std::min(bits, static_cast<unsigned>(std::countr_zero(border)));
  };
  if (file.extras().regions) {
    for (const DataRegion& region : *file.extras().regions) {
      divide(region.offset);
      divide(region.offset + region.size);
    }
    bits = std::min(bits, erofs::kMaxChunkBits);
  }
  if (bits < erofs::kBlockBits)
    throw Error::make(Errc::unsupported, "its holes are not aligned to {} bytes", erofs::kBlock);
  return bits;
}

std::uint64_t chunk_count(const LayerInode& file, unsigned bits) {
  return ((file.size - 1) >> bits) + 1;
}

std::size_t block_size(std::span<const FolderName> names) {
  std::size_t size = 0;
  for (const FolderName& name : names) size += sizeof(erofs::Dirent) + name.name().size();
  return size;
}

/// Calls `take` for the names of each of a folder's blocks: in byte order, with "." and ".." where they
/// belong.
template <class Take>
void each_block(const LayerTree& tree, const LayerInode& folder, InodeIndex self, InodeIndex parent,
                Take&& take) {
  std::vector<FolderName> block;
  std::size_t used = 0;
  const auto add = [&](const FolderName& name) {
    const std::size_t size = block_size(std::span(&name, 1));
    if (used + size > erofs::kBlock) {
      take(std::span<const FolderName>(block), IsLast::no);
      block.clear();
      used = 0;
    }
    block.push_back(name);
    used += size;
  };
  const std::array<FolderName, 2> own{{{"."sv, self}, {".."sv, parent}}};
  auto next = own.begin();
  for (const FolderName& name : *folder.names) {
    tree.memory->count_use();
    for (; next != own.end() && next->name() < name.name(); ++next) add(*next);
    add(name);
  }
  std::for_each(next, own.end(), add);
  take(std::span<const FolderName>(block), IsLast::yes);
}

/// Collects what is written; alignment is a matter of its offset.
class ImageStream {
 public:
  explicit ImageStream(ByteSink& out) : out_(out) { buffer_.reserve(kBuffer); }

  void append(std::string_view bytes) {
    if (buffer_.size() + bytes.size() > kBuffer) flush();
    buffer_.append(bytes);
    offset_ += bytes.size();
  }
  void pad_to(std::uint64_t offset) {
    static constexpr std::array<char, erofs::kBlock> kZeros{};
    while (offset_ < offset)
      append({kZeros.data(),
              static_cast<std::size_t>(std::min<std::uint64_t>(offset - offset_, kZeros.size()))});
  }
  void flush() {
    out_.write(std::as_bytes(std::span(buffer_)));
    buffer_.clear();
  }

 private:
  ByteSink& out_;
  std::string buffer_;
  std::uint64_t offset_ = 0;
};

class ImageWriter {
 public:
  ImageWriter(const LayerTree& tree, std::uint64_t tar_size, ByteSink& out)
      : tree_(tree), tar_size_(tar_size), places_(*tree.memory), out_(out) {
    for (std::size_t i = 0; i < tree.inodes.size(); ++i) {
      tree.memory->count_use();
      places_.push_back({});
    }
  }

  void run() {
    plan();
    write_super();
    each_inode([&](InodeIndex inode, InodeIndex parent) { write_inode(inode, parent); });
    out_.pad_to(data_block_ * erofs::kBlock);
    each_inode([&](InodeIndex inode, InodeIndex parent) { write_blocks(inode, parent); });
    out_.flush();
  }

 private:
  template <class Visit>
  void each_inode(Visit&& visit) const {
    walk_tree(tree_, [&](InodeIndex inode, InodeIndex parent, const std::string& path) {
      try {
        visit(inode, parent);
      } catch (Error& error) {
        error.add_context(fmt::format("'{}'", printable(path)));
        throw;
      }
    });
  }

  /// Gives every inode its place: inodes first, one after the other, then the blocks that did not fit inline.
  void plan() {
    constexpr std::uint64_t kMaxBlocks = std::numeric_limits<std::uint32_t>::max();
    if (tar_size_ / erofs::kBlock >= kMaxBlocks)
      throw Error::make(Errc::unsupported, "the layer's tar has {} bytes, more than can be mounted",
                        tar_size_);
    std::uint64_t end = kMetaStart;
    std::uint64_t blocks = 0;
    std::uint64_t chunks = 0;
    each_inode([&](InodeIndex index, InodeIndex parent) {
      const LayerInode& inode = tree_.inodes[index];
      Place& place = places_[index];
      const std::uint64_t head = sizeof(erofs::Inode) + xattrs_size(inode);
      place.offset = erofs::align(end, erofs::kInodeUnit);
      end = place.offset + head;
      ++count_;
      if (S_ISREG(inode.mode)) {
        if (inode.size == 0) return;
        place.layout = erofs::DataLayout::chunks;
        place.chunk_bits = static_cast<std::uint8_t>(chunk_bits(inode));
        const std::uint64_t count = chunk_count(inode, place.chunk_bits);
        chunks += inode.extras().regions ? count : 0;
        if (count > kMaxChunks || chunks > kMaxChunks)
          throw Error::make(Errc::unsupported, "sparse files take {} chunks, more than {}", chunks,
                            kMaxChunks);
        end = erofs::align(end, sizeof(erofs::ChunkIndex)) + count * sizeof(erofs::ChunkIndex);
        return;
      }
      const std::uint64_t size = content_size(index, parent);
      const std::uint64_t tail = size % erofs::kBlock;
      place.block = static_cast<std::uint32_t>(blocks);
      if (const auto offset = tail == 0 ? std::nullopt : inline_offset(place.offset, head, tail)) {
        place.offset = *offset;
        place.layout = erofs::DataLayout::inline_tail;
        end = *offset + head + tail;
        blocks += size / erofs::kBlock;
      } else {
        blocks += erofs::align(size, erofs::kBlock) / erofs::kBlock;
      }
    });
    data_block_ = erofs::align(end, erofs::kBlock) / erofs::kBlock;
    blocks_ = data_block_ + blocks;
    if (blocks_ > kMaxBlocks)
      throw Error::make(Errc::unsupported, "the layer's folders take {} blocks, more than can be mounted",
                        blocks_);
  }

  /// The next place for an inode with which its tail lies within one block.
  static std::optional<std::uint64_t> inline_offset(std::uint64_t offset, std::uint64_t head,
                                                    std::uint64_t tail) {
    if (tail > kMaxInlineTail) return std::nullopt;
    for (const std::uint64_t limit = offset + erofs::kBlock; offset < limit; offset += erofs::kInodeUnit)
      if ((offset + head) % erofs::kBlock + tail <= erofs::kBlock) return offset;
    return std::nullopt;
  }

  /// Bytes of a folder or a symlink; of nodes, none.
  std::uint64_t content_size(InodeIndex index, InodeIndex parent) const {
    const LayerInode& inode = tree_.inodes[index];
    if (inode.names == nullptr) return inode.extras().link.size();
    std::uint64_t size = 0;
    each_block(tree_, inode, index, parent, [&](std::span<const FolderName> names, IsLast) {
      size = erofs::align(size, erofs::kBlock) + block_size(names);
    });
    return size;
  }

  std::string block_of(std::span<const FolderName> names) const {
    std::string block;
    std::string text;
    for (const FolderName& name : names) {
      tree_.memory->count_use();
      const erofs::Dirent dirent{
          .inode = places_[name.inode()].offset / erofs::kInodeUnit,
          .name_offset = static_cast<std::uint16_t>(names.size() * sizeof(erofs::Dirent) + text.size()),
          .type = dirent_type(tree_.inodes[name.inode()].mode),
          .reserved = 0};
      block.append(bytes_of(dirent));
      text += name.name();
    }
    return block + text;
  }

  void write_super() {
    out_.pad_to(erofs::kSuperOffset);
    erofs::Super super{};
    super.magic = erofs::kMagic;
    super.feature_compat = erofs::kCompatMtime;
    super.feature_incompat = erofs::kIncompatChunked | erofs::kIncompatDeviceTable;
    super.block_bits = erofs::kBlockBits;
    super.root = static_cast<std::uint16_t>(places_[0].offset / erofs::kInodeUnit);
    super.inodes = count_;
    super.blocks = static_cast<std::uint32_t>(blocks_);
    super.extra_devices = 1;
    super.device_table = static_cast<std::uint16_t>(kDeviceTable);
    out_.append(bytes_of(super));
    erofs::DeviceSlot slot{};
    slot.blocks = static_cast<std::uint32_t>(erofs::align(tar_size_, erofs::kBlock) / erofs::kBlock);
    out_.append(bytes_of(slot));
  }

  void write_inode(InodeIndex index, InodeIndex parent) {
    const LayerInode& inode = tree_.inodes[index];
    const Place& place = places_[index];
    out_.pad_to(place.offset);
    out_.append(bytes_of(make_inode(index, content_size(index, parent))));
    write_xattrs(inode);
    if (place.layout == erofs::DataLayout::chunks) {
      const std::uint64_t end = place.offset + sizeof(erofs::Inode) + xattrs_size(inode);
      out_.pad_to(erofs::align(end, sizeof(erofs::ChunkIndex)));
      write_chunks(inode, place.chunk_bits);
    } else if (place.layout == erofs::DataLayout::inline_tail) {
      write_tail(index, parent);
    }
  }

  void write_tail(InodeIndex index, InodeIndex parent) {
    const LayerInode& inode = tree_.inodes[index];
    if (inode.names == nullptr) {
      const std::string_view link = inode.extras().link;
      return out_.append(link.substr(link.size() / erofs::kBlock * erofs::kBlock));
    }
    each_block(tree_, inode, index, parent, [&](std::span<const FolderName> names, IsLast is_last) {
      if (is_last == IsLast::yes) out_.append(block_of(names));
    });
  }

  void write_chunks(const LayerInode& file, unsigned bits) {
    static constexpr erofs::ChunkIndex kHole{
        .block_high = 0xffff, .device = 0xffff, .block = erofs::kNoBlock};
    const DataRegion whole{0, file.size};
    const auto regions = file.extras().regions.value_or(std::span(&whole, 1));
    std::uint64_t chunk = 0;
    std::uint64_t data = file.data_offset;  // of the region's first byte, in the tar
    const auto fill_holes = [&](std::uint64_t until) {
      for (; chunk < until; ++chunk) out_.append(bytes_of(kHole));
    };
    for (const DataRegion& region : regions) {
      fill_holes(region.offset >> bits);
      for (; chunk << bits < region.offset + region.size; ++chunk) {
        const std::uint64_t block = (data + (chunk << bits) - region.offset) / erofs::kBlock;
        out_.append(bytes_of(
            erofs::ChunkIndex{.block_high = 0, .device = 1, .block = static_cast<std::uint32_t>(block)}));
      }
      data += region.size;
    }
    fill_holes(chunk_count(file, bits));
  }

  erofs::Inode make_inode(InodeIndex index, std::uint64_t content_size) const {
    const LayerInode& inode = tree_.inodes[index];
    const Place& place = places_[index];
    erofs::Inode record{};
    record.format = static_cast<std::uint16_t>((static_cast<unsigned>(place.layout) << erofs::kLayoutShift) |
                                               erofs::kExtended);
    record.xattr_count = xattr_count(inode);
    record.mode = static_cast<std::uint16_t>(inode.mode);
    record.size = S_ISREG(inode.mode) ? inode.size : content_size;
    record.place = place_field(inode, place);
    record.number = index + 1;
    record.uid = inode.uid;
    record.gid = inode.gid;
    record.mtime = inode.mtime.tv_sec;
    record.mtime_nsec = static_cast<std::uint32_t>(inode.mtime.tv_nsec);
    record.links = inode.names != nullptr ? folder_links(inode) : inode.links;
    return record;
  }

  std::uint32_t place_field(const LayerInode& inode, const Place& place) const {
    if (S_ISCHR(inode.mode) || S_ISBLK(inode.mode))
      return erofs::encode_device(gnu_dev_major(inode.extras().device), gnu_dev_minor(inode.extras().device));
    if (place.layout == erofs::DataLayout::chunks)
      return erofs::kChunkIndexes | (place.chunk_bits - erofs::kBlockBits);
    return static_cast<std::uint32_t>(data_block_) + place.block;
  }

  std::uint32_t folder_links(const LayerInode& folder) const {
    std::uint32_t links = 2;
    for (const FolderName& entry : *folder.names) {
      tree_.memory->count_use();
      if (tree_.inodes[entry.inode()].names != nullptr) ++links;
    }
    return links;
  }

  void write_xattrs(const LayerInode& inode) {
    if (inode.extras().xattrs.empty()) return;
    out_.append(bytes_of(erofs::XattrHeader{}));
    for (const KeptXattr& xattr : inode.extras().xattrs) {
      const erofs::XattrPrefix& prefix = prefix_of(xattr.name);
      const std::string_view name = xattr.name.substr(prefix.text.size());
      std::string entry(
          bytes_of(erofs::XattrEntry{.name_size = static_cast<std::uint8_t>(name.size()),
                                     .prefix = prefix.index,
                                     .value_size = static_cast<std::uint16_t>(xattr.value.size())}));
      entry += name;
      entry += xattr.value;
      entry.resize(entry_size(xattr));
      out_.append(entry);
    }
  }

  void write_blocks(InodeIndex index, InodeIndex parent) {
    const LayerInode& inode = tree_.inodes[index];
    const bool has_tail = places_[index].layout == erofs::DataLayout::inline_tail;
    if (inode.names == nullptr) return write_link_blocks(inode.extras().link, has_tail);
    each_block(tree_, inode, index, parent, [&](std::span<const FolderName> names, IsLast is_last) {
      if (!has_tail || is_last == IsLast::no) write_block(block_of(names));
    });
  }

  void write_link_blocks(std::string_view link, bool has_tail) {
    if (has_tail) link = link.substr(0, link.size() / erofs::kBlock * erofs::kBlock);
    for (; !link.empty(); link.remove_prefix(std::min(link.size(), std::size_t{erofs::kBlock})))
      write_block(std::string(link.substr(0, erofs::kBlock)));
  }

  void write_block(std::string block) {
    block.resize(erofs::kBlock);
    out_.append(block);
  }

  const LayerTree& tree_;
  const std::uint64_t tar_size_;
  SpillArray<Place> places_;
  ImageStream out_;
  std::uint64_t count_ = 0;       ///< of inodes
  std::uint64_t data_block_ = 0;  ///< where the data blocks begin
  std::uint64_t blocks_ = 0;      ///< of the whole image
};

}  // namespace

void write_erofs(const LayerTree& tree, std::uint64_t tar_size, ByteSink& out) {
  ImageWriter(tree, tar_size, out).run();
}

}  // namespace lay::layerstore
