#include "erofs/erofs_reader.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/spill_map.h"
#include "base/spill_stack.h"
#include "base/text.h"
#include "erofs/erofs_format.h"

namespace lay::layerstore {

namespace {

[[noreturn]] void fail(std::string_view what) {
  throw Error::make(Errc::corrupt, "EROFS image: {}", what);
}

void require(bool condition, std::string_view what) {
  if (!condition) fail(what);
}

std::uint8_t dirent_type(mode_t mode) {
  constexpr std::array<std::pair<mode_t, std::uint8_t>, 6> kTypes{
      {{S_IFREG, 1}, {S_IFDIR, 2}, {S_IFCHR, 3}, {S_IFBLK, 4}, {S_IFIFO, 5}, {S_IFLNK, 7}}};
  for (const auto& [type, number] : kTypes)
    if ((mode & S_IFMT) == type) return number;
  fail("an inode of an unknown type");
}

struct NamedInode {
  std::string name;
  std::uint64_t number = 0;  ///< where it is, in units of 32 bytes
  std::uint8_t type = 0;
};

class ImageReader {
 public:
  ImageReader(std::string_view image, std::uint64_t tar_size, const Spill& spill, SpillMemory* holder)
      : image_(image),
        tar_size_(tar_size),
        holder_(holder),
        tree_(spill),
        stored_links_(*tree_.memory),
        linked_(*tree_.memory),
        folders_(spill) {}

  LayerTree read() {
    const auto super = record<erofs::Super>(erofs::kSuperOffset);
    check_super(super);
    // Folders are read when their turn comes; an inode is known by its number, so links meet here.
    add_inode(super.root);
    require(S_ISDIR(tree_.inodes[0].mode), "the root is no folder");
    tree_.inodes[0].links = 1;
    read_folder(0, super.root, super.root);
    while (const auto next = folders_.pop()) {
      const PendingFolder& folder = next->second;
      read_folder(folder.inode, folder.number, folder.parent);
    }
    check_links();
    require(tree_.inodes.size() == super.inodes, "its number of inodes is wrong");
    return std::move(tree_);
  }

 private:
  struct PendingFolder {
    InodeIndex inode;
    std::uint64_t number;
    std::uint64_t parent;
  };

  std::string_view bytes(std::uint64_t offset, std::uint64_t size) const {
    require(offset <= image_.size() && size <= image_.size() - offset, "it ends too early");
    return image_.substr(offset, size);
  }
  template <class Record>
  Record record(std::uint64_t offset) const {
    Record result;
    std::memcpy(&result, bytes(offset, sizeof result).data(), sizeof result);
    return result;
  }

  void check_super(const erofs::Super& super) const {
    require(super.magic == erofs::kMagic, "its magic number is wrong");
    require(super.feature_compat == erofs::kCompatMtime &&
                super.feature_incompat == (erofs::kIncompatChunked | erofs::kIncompatDeviceTable),
            "it has features that lay does not write");
    require(super.block_bits == erofs::kBlockBits && super.dir_block_bits == 0,
            "its blocks are not of 512 bytes");
    require(super.extra_slots == 0 && super.meta_block == 0, "its layout is not lay's");
    require(super.blocks * erofs::kBlock == image_.size(), "its size is wrong");
    require(super.extra_devices == 1, "it has not one device");
    const auto slot = record<erofs::DeviceSlot>(super.device_table * erofs::kDeviceSlotUnit);
    require(slot.blocks == erofs::align(tar_size_, erofs::kBlock) / erofs::kBlock,
            "the size of its device is wrong");
  }

  InodeIndex add_inode(std::uint64_t number) {
    tree_.memory->count_use();
    if (holder_ != nullptr) holder_->count_use();
    require(number < seen_.size(), "an inode lies beyond its end");
    if (seen_[number]) return index_of(number);
    seen_[number] = true;
    const auto index = static_cast<InodeIndex>(tree_.inodes.size());
    const auto disk = record<erofs::Inode>(number * erofs::kInodeUnit);
    require((disk.format & erofs::kExtended) != 0, "an inode is not of the extended form");
    LayerInode inode{.mode = disk.mode, .uid = disk.uid, .gid = disk.gid};
    inode.mtime = {.tv_sec = disk.mtime, .tv_nsec = disk.mtime_nsec};
    require(disk.mtime_nsec < 1'000'000'000, "a time has too many nanoseconds");
    for (const Xattr& xattr : read_xattrs(number, disk))
      set_xattr(inode, *tree_.memory, {xattr.name, xattr.value});
    stored_links_.push_back(disk.links);
    read_content(inode, number, disk);
    tree_.inodes.push_back(inode);
    if (disk.links > 1 && inode.names == nullptr) linked_.try_emplace(number, index);
    return index;
  }

  /// Of an inode with a further name.
  InodeIndex index_of(std::uint64_t number) {
    const InodeIndex* const linked = linked_.find(number);
    if (linked == nullptr)
      fail(S_ISDIR(record<erofs::Inode>(number * erofs::kInodeUnit).mode) ? "a folder has two names"
                                                                          : "the number of links is wrong");
    return *linked;
  }

  static erofs::DataLayout layout_of(const erofs::Inode& disk) {
    return static_cast<erofs::DataLayout>(disk.format >> erofs::kLayoutShift);
  }

  static std::uint64_t head_size(const erofs::Inode& disk) {
    const std::uint64_t xattrs =
        disk.xattr_count == 0 ? 0 : sizeof(erofs::XattrHeader) + (disk.xattr_count - 1U) * 4U;
    return sizeof(erofs::Inode) + xattrs;
  }

  std::vector<Xattr> read_xattrs(std::uint64_t number, const erofs::Inode& disk) const {
    std::vector<Xattr> xattrs;
    if (disk.xattr_count == 0) return xattrs;
    std::uint64_t offset = number * erofs::kInodeUnit + sizeof disk;
    const std::uint64_t end = number * erofs::kInodeUnit + head_size(disk);
    require(record<erofs::XattrHeader>(offset).shared == 0, "it shares attributes");
    offset += sizeof(erofs::XattrHeader);
    while (offset < end) {
      const auto entry = record<erofs::XattrEntry>(offset);
      offset += sizeof entry;
      std::string name(prefix_of(entry.prefix));
      name += bytes(offset, entry.name_size);
      offset += entry.name_size;
      xattrs.push_back({std::move(name), std::string(bytes(offset, entry.value_size))});
      offset = erofs::align(offset + entry.value_size, 4);
      require(xattrs.size() < 2 || xattrs[xattrs.size() - 2].name < xattrs.back().name,
              "attributes are not in order");
    }
    require(offset == end, "attributes reach beyond their end");
    return xattrs;
  }

  static std::string_view prefix_of(std::uint8_t index) {
    for (const erofs::XattrPrefix& prefix : erofs::kXattrPrefixes)
      if (prefix.index == index) return prefix.text;
    fail("an attribute of an unknown kind");
  }

  void read_content(LayerInode& inode, std::uint64_t number, const erofs::Inode& disk) {
    if (S_ISREG(inode.mode)) {
      inode.size = disk.size;
      if (disk.size > 0) read_chunks(inode, number, disk);
      return;
    }
    if (S_ISCHR(inode.mode) || S_ISBLK(inode.mode)) {
      inode.edit_extras(*tree_.memory).device =
          gnu_dev_makedev(erofs::device_major(disk.place), erofs::device_minor(disk.place));
    } else if (S_ISLNK(inode.mode)) {
      std::string_view& link = inode.edit_extras(*tree_.memory).link;
      const Content content = content_of(number, disk);
      link = tree_.memory->keep(std::string(content.blocks).append(content.tail));
      require(!link.empty() && link.find('\0') == std::string_view::npos, "a symlink has no good target");
    } else if (S_ISDIR(inode.mode)) {
      inode.names = tree_.memory->make<FolderNames>(*tree_.memory);
      return;
    } else {
      require(S_ISFIFO(inode.mode), "an inode of an unknown type");
    }
    require(S_ISLNK(inode.mode) || disk.size == 0, "a node has a size");
  }

  void read_chunks(LayerInode& file, std::uint64_t number, const erofs::Inode& disk) {
    require(layout_of(disk) == erofs::DataLayout::chunks, "a file has no chunks");
    const unsigned bits = (disk.place & erofs::kChunkBitsMask) + erofs::kBlockBits;
    require((disk.place & ~erofs::kChunkBitsMask) == erofs::kChunkIndexes,
            "a file has chunks of an unknown form");
    const std::uint64_t count = ((disk.size - 1) >> bits) + 1;
    const std::uint64_t start =
        erofs::align(number * erofs::kInodeUnit + head_size(disk), sizeof(erofs::ChunkIndex));
    require(count <= image_.size() / sizeof(erofs::ChunkIndex), "it ends too early");
    std::vector<DataRegion> regions;
    std::uint64_t next = 0;  // where in the tar the next byte of data has to be
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto chunk = record<erofs::ChunkIndex>(start + i * sizeof(erofs::ChunkIndex));
      if (chunk.block == erofs::kNoBlock) {
        require(chunk.device == 0xffff && chunk.block_high == 0xffff, "a hole lies somewhere");
        continue;
      }
      require(chunk.device == 1 && chunk.block_high == 0, "a file does not lie in the tar");
      const std::uint64_t offset = chunk.block * erofs::kBlock;
      const std::uint64_t size = std::min(std::uint64_t{1} << bits, disk.size - (i << bits));
      require(offset <= tar_size_ && size <= tar_size_ - offset, "a file reaches beyond the tar");
      if (regions.empty()) file.data_offset = next = offset;
      require(offset == next, "the data of a file are not in a row");
      next += size;
      if (!regions.empty() && regions.back().offset + regions.back().size == i << bits) {
        regions.back().size += size;
      } else {
        regions.push_back({i << bits, size});
      }
    }
    if (regions.empty() || regions.front() != DataRegion{0, disk.size})
      file.edit_extras(*tree_.memory).regions = tree_.memory->keep(std::span<const DataRegion>(regions));
  }

  /// What a symlink or a folder holds.
  struct Content {
    std::string_view blocks;
    std::string_view tail;  ///< that stands behind the inode
  };

  Content content_of(std::uint64_t number, const erofs::Inode& disk) const {
    const std::uint64_t start = disk.place * erofs::kBlock;
    if (layout_of(disk) == erofs::DataLayout::plain) return {.blocks = bytes(start, disk.size), .tail = {}};
    require(layout_of(disk) == erofs::DataLayout::inline_tail, "a folder or symlink has an unknown layout");
    const std::uint64_t tail = disk.size % erofs::kBlock;
    const std::uint64_t tail_offset = number * erofs::kInodeUnit + head_size(disk);
    require(tail_offset % erofs::kBlock + tail <= erofs::kBlock, "an inline tail crosses a block");
    require(disk.size <= image_.size(), "a folder is longer than the image");
    return {.blocks = bytes(disk.size == tail ? 0 : start, disk.size - tail),
            .tail = bytes(tail_offset, tail)};
  }

  /// What the names of a folder have to agree with.
  struct Folder {
    InodeIndex index;
    std::uint64_t number;
    std::uint64_t parent;
    std::string last_name = {};
    std::uint32_t subfolders = 0;
    bool has_self = false;
    bool has_parent = false;
  };

  void read_folder(InodeIndex index, std::uint64_t number, std::uint64_t parent) {
    Folder folder{.index = index, .number = number, .parent = parent};
    Content content = content_of(number, record<erofs::Inode>(number * erofs::kInodeUnit));
    for (std::string_view& rest = content.blocks; !rest.empty();) {
      const std::string_view block = rest.substr(0, erofs::kBlock);
      rest.remove_prefix(block.size());
      add_names(folder, split_block(block));
    }
    if (!content.tail.empty()) add_names(folder, split_block(content.tail));
    require(folder.has_self && folder.has_parent, "a folder lacks '.' or '..'");
    require(stored_links_[index] == 2 + folder.subfolders, "the number of a folder's links is wrong");
  }

  void add_names(Folder& folder, const std::vector<NamedInode>& names) {
    for (const NamedInode& entry : names) {
      require(folder.last_name < entry.name, "names are not in order");
      folder.last_name = entry.name;
      if (entry.name == "." || entry.name == "..") {
        require(entry.number == (entry.name == "." ? folder.number : folder.parent),
                "'.' or '..' leads elsewhere");
        (entry.name == "." ? folder.has_self : folder.has_parent) = true;
      } else {
        add_name(folder, entry);
      }
    }
  }

  void add_name(Folder& folder, const NamedInode& entry) {
    const InodeIndex child = add_inode(entry.number);
    LayerInode& inode = tree_.inodes[child];
    require(entry.type == dirent_type(inode.mode), "a name is not of the type it says");
    ++inode.links;
    tree_.inodes[folder.index].names->insert({tree_.memory->keep(entry.name), child});
    if (!S_ISDIR(inode.mode)) return;
    ++folder.subfolders;
    folders_.push("", {child, entry.number, folder.number});
  }

  static std::vector<NamedInode> split_block(std::string_view block) {
    const auto dirent = [&](std::size_t i) {
      erofs::Dirent entry;
      require((i + 1) * sizeof entry <= block.size(), "a folder's block is too short");
      std::memcpy(&entry, block.data() + i * sizeof entry, sizeof entry);
      return entry;
    };
    const std::size_t first = dirent(0).name_offset;
    require(first > 0 && first % sizeof(erofs::Dirent) == 0 && first <= block.size(),
            "a folder's block is damaged");
    const std::size_t count = first / sizeof(erofs::Dirent);
    std::vector<NamedInode> names;
    for (std::size_t i = 0; i < count; ++i) {
      const erofs::Dirent entry = dirent(i);
      const std::size_t end = i + 1 < count ? dirent(i + 1).name_offset : block.size();
      require(entry.name_offset <= end && end <= block.size(), "a folder's block is damaged");
      std::string name(block.substr(entry.name_offset, end - entry.name_offset));
      if (i + 1 == count) name.resize(std::min(name.size(), name.find('\0')));
      require(!name.empty() && name.size() <= 255 && name.find('/') == std::string::npos &&
                  name.find('\0') == std::string::npos,
              "a name is damaged");
      names.push_back({.name = std::move(name), .number = entry.inode, .type = entry.type});
    }
    return names;
  }

  void check_links() const {
    for (InodeIndex i = 0; i < tree_.inodes.size(); ++i) {
      tree_.memory->count_use();
      require(tree_.inodes[i].names != nullptr || tree_.inodes[i].links == stored_links_[i],
              "the number of links is wrong");
    }
  }

  const std::string_view image_;
  const std::uint64_t tar_size_;
  SpillMemory* const holder_;
  LayerTree tree_;
  SpillArray<std::uint32_t> stored_links_;
  std::vector<bool> seen_ = std::vector<bool>(image_.size() / erofs::kInodeUnit + 1);  ///< by the number
  SpillMap<std::uint64_t, InodeIndex> linked_;  ///< those with several names
  SpillStack<PendingFolder> folders_;           ///< still to be read; without a text
};

}  // namespace

LayerTree read_erofs(std::string_view image, std::uint64_t tar_size, const Spill& spill,
                     SpillMemory* holder) {
  return ImageReader(image, tar_size, spill, holder).read();
}

}  // namespace lay::layerstore
