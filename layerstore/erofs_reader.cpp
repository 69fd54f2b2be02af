#include "erofs_reader.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "erofs_format.h"

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
  ImageReader(std::string_view image, std::uint64_t tar_size) : image_(image), tar_size_(tar_size) {}

  LayerTree read() {
    const auto super = record<erofs::Super>(erofs::kSuperOffset);
    check_super(super);
    // Folders are read when their turn comes; an inode is known by its number, so links meet here.
    add_inode(super.root);
    require(S_ISDIR(tree_.inodes.front().mode), "the root is no folder");
    tree_.inodes.front().links = 1;
    read_folder(0, super.root, super.root);
    for (; !folders_.empty();) {
      const PendingFolder next = folders_.back();
      folders_.pop_back();
      read_folder(next.inode, next.number, next.parent);
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
    const auto [known, is_new] = known_.try_emplace(number, static_cast<InodeIndex>(tree_.inodes.size()));
    if (!is_new) return known->second;
    require(number < image_.size() / erofs::kInodeUnit + 1, "an inode lies beyond its end");
    const auto disk = record<erofs::Inode>(number * erofs::kInodeUnit);
    require((disk.format & erofs::kExtended) != 0, "an inode is not of the extended form");
    LayerInode inode{.mode = disk.mode, .uid = disk.uid, .gid = disk.gid};
    inode.mtime = {.tv_sec = disk.mtime, .tv_nsec = disk.mtime_nsec};
    require(disk.mtime_nsec < 1'000'000'000, "a time has too many nanoseconds");
    if (auto xattrs = read_xattrs(number, disk); !xattrs.empty())
      inode.edit_extras().xattrs = std::move(xattrs);
    stored_links_.push_back(disk.links);
    read_content(inode, number, disk);
    tree_.inodes.push_back(std::move(inode));
    return known->second;
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

  void read_content(LayerInode& inode, std::uint64_t number, const erofs::Inode& disk) const {
    if (S_ISREG(inode.mode)) {
      inode.size = disk.size;
      if (disk.size > 0) read_chunks(inode, number, disk);
      return;
    }
    if (S_ISCHR(inode.mode) || S_ISBLK(inode.mode)) {
      inode.edit_extras().device =
          gnu_dev_makedev(erofs::device_major(disk.place), erofs::device_minor(disk.place));
    } else if (S_ISLNK(inode.mode)) {
      std::string& link = inode.edit_extras().link;
      link = content_of(number, disk);
      require(!link.empty() && link.find('\0') == std::string::npos, "a symlink has no good target");
    } else if (S_ISDIR(inode.mode)) {
      inode.names = std::make_unique<FolderNames>();
      return;
    } else {
      require(S_ISFIFO(inode.mode), "an inode of an unknown type");
    }
    require(S_ISLNK(inode.mode) || disk.size == 0, "a node has a size");
  }

  void read_chunks(LayerInode& file, std::uint64_t number, const erofs::Inode& disk) const {
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
      file.edit_extras().regions = std::move(regions);
  }

  std::string content_of(std::uint64_t number, const erofs::Inode& disk) const {
    const std::uint64_t start = disk.place * erofs::kBlock;
    if (layout_of(disk) == erofs::DataLayout::plain) return std::string(bytes(start, disk.size));
    require(layout_of(disk) == erofs::DataLayout::inline_tail, "a folder or symlink has an unknown layout");
    const std::uint64_t tail = disk.size % erofs::kBlock;
    const std::uint64_t tail_offset = number * erofs::kInodeUnit + head_size(disk);
    require(tail_offset % erofs::kBlock + tail <= erofs::kBlock, "an inline tail crosses a block");
    require(disk.size <= image_.size(), "a folder is longer than the image");
    return std::string(bytes(disk.size == tail ? 0 : start, disk.size - tail)) +
           std::string(bytes(tail_offset, tail));
  }

  void read_folder(InodeIndex index, std::uint64_t number, std::uint64_t parent) {
    const auto disk = record<erofs::Inode>(number * erofs::kInodeUnit);
    const std::vector<NamedInode> names = split_folder(content_of(number, disk));
    std::uint32_t subfolders = 0;
    bool has_self = false;
    bool has_parent = false;
    for (const NamedInode& entry : names) {
      if (entry.name == "." || entry.name == "..") {
        require(entry.number == (entry.name == "." ? number : parent), "'.' or '..' leads elsewhere");
        (entry.name == "." ? has_self : has_parent) = true;
        continue;
      }
      const bool is_new = !known_.contains(entry.number);
      const InodeIndex child = add_inode(entry.number);
      require(entry.type == dirent_type(tree_.inodes[child].mode), "a name is not of the type it says");
      ++tree_.inodes[child].links;
      tree_.inodes[index].names->insert({tree_.names.keep(entry.name), child});
      if (!S_ISDIR(tree_.inodes[child].mode)) continue;
      require(is_new, "a folder has two names");
      ++subfolders;
      folders_.push_back({child, entry.number, number});
    }
    require(has_self && has_parent, "a folder lacks '.' or '..'");
    require(stored_links_[index] == 2 + subfolders, "the number of a folder's links is wrong");
  }

  static std::vector<NamedInode> split_folder(const std::string& content) {
    std::vector<NamedInode> names;
    for (std::size_t begin = 0; begin < content.size(); begin += erofs::kBlock)
      split_block(std::string_view(content).substr(begin, erofs::kBlock), names);
    for (std::size_t i = 1; i < names.size(); ++i)
      require(names[i - 1].name < names[i].name, "names are not in order");
    return names;
  }

  static void split_block(std::string_view block, std::vector<NamedInode>& names) {
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
  }

  void check_links() const {
    for (InodeIndex i = 0; i < tree_.inodes.size(); ++i)
      require(tree_.inodes[i].names || tree_.inodes[i].links == stored_links_[i],
              "the number of links is wrong");
  }

  const std::string_view image_;
  const std::uint64_t tar_size_;
  LayerTree tree_;
  std::vector<std::uint32_t> stored_links_;
  std::unordered_map<std::uint64_t, InodeIndex> known_;
  std::vector<PendingFolder> folders_;
};

}  // namespace

LayerTree read_erofs(std::string_view image, std::uint64_t tar_size) {
  return ImageReader(image, tar_size).read();
}

}  // namespace lay::layerstore
