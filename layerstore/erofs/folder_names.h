#pragma once

#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <optional>
#include <string_view>
#include <vector>

namespace lay::layerstore {

/// Index into LayerTree::inodes.
using InodeIndex = std::uint32_t;

/// A name in a folder, and where it leads. Its bytes are somebody else's.
class FolderName {
 public:
  /// `name` has at most 255 bytes, as any name on Linux.
  FolderName(std::string_view name, InodeIndex inode)
      : text_(name.data()), inode_(inode), size_(static_cast<std::uint8_t>(name.size())) {}

  std::string_view name() const { return {text_, size_}; }
  InodeIndex inode() const { return inode_; }

 private:
  const char* text_;
  InodeIndex inode_;
  std::uint8_t size_;
};

/// The names of a folder in byte order, "." and ".." left out. What a name takes is what counts, of millions:
/// they lie in sorted runs, which are cut in two when they get long.
class FolderNames {
 public:
  explicit FolderNames(std::pmr::memory_resource& memory) : runs_(&memory) {}

  /// Goes over the names in order; not valid any more after a change.
  class Iterator {
   public:
    Iterator(const FolderNames& names, std::size_t run) : names_(&names), run_(run) {}
    const FolderName& operator*() const { return names_->runs_[run_][place_]; }
    Iterator& operator++();
    bool operator==(const Iterator& other) const = default;

   private:
    const FolderNames* names_;
    std::size_t run_;
    std::size_t place_ = 0;
  };

  Iterator begin() const { return {*this, 0}; }
  Iterator end() const { return {*this, runs_.size()}; }
  std::size_t size() const { return size_; }
  std::optional<InodeIndex> find(std::string_view name) const;
  /// A name that is not there yet. Quick for the last of all, which most are.
  void insert(FolderName name);
  /// What it led to; empty when it is not there.
  std::optional<InodeIndex> remove(std::string_view name);
  void clear();

  template <class Predicate>
  void remove_if(Predicate&& is_unwanted) {
    size_ = 0;
    for (Run& run : runs_) {
      std::erase_if(run, is_unwanted);
      size_ += run.size();
    }
    std::erase_if(runs_, [](const Run& run) { return run.empty(); });
  }

 private:
  using Run = std::pmr::vector<FolderName>;

  std::size_t run_of(std::string_view name) const;
  static Run::const_iterator place_in(const Run& run, std::string_view name);
  void split(std::size_t run);

  std::pmr::vector<Run> runs_;  ///< ascending, none of them empty
  std::size_t size_ = 0;
};

}  // namespace lay::layerstore
