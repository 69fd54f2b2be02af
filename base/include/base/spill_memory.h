#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <memory_resource>
#include <new>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/unique_fd.h"

namespace lay {

/// Where memory beyond a bound lies.
struct Spill {
  /// Opens the file for it; without one all stays in memory, as on a read-only file system.
  std::function<UniqueFd()> open_file = {};
  std::size_t bound = std::size_t{4} * 1024 * 1024;  ///< bytes that stay in memory
};

/// A spill into a file without a name on the file system of `folder`, which must live until then.
Spill spill_beside(const UniqueFd& folder);

/// Memory that is given back all at once, at its end, where what was made in it is not destroyed. What
/// exceeds the bound lies in a file that the kernel pages in and out: it keeps its address and takes room on
/// disk. So what grows with a layer's files is written as though it were in memory. Of one thread.
///   throws   no_space as soon as the disk is full: the file's blocks are taken before they are used. A disk
///            that cannot read back what was written to it ends the process with words (spill_fault.h)
class SpillMemory final : public std::pmr::memory_resource {
 public:
  explicit SpillMemory(Spill spill = {});
  ~SpillMemory() override;
  SpillMemory(const SpillMemory&) = delete;
  SpillMemory& operator=(const SpillMemory&) = delete;

  template <class T, class... Args>
  T* make(Args&&... args) {
    return ::new (allocate(sizeof(T), alignof(T))) T(std::forward<Args>(args)...);
  }
  template <class T>
  std::span<T> keep(std::span<const T> items) {
    static_assert(std::is_trivially_destructible_v<T>);
    T* const place = static_cast<T*>(allocate(items.size_bytes(), alignof(T)));
    std::uninitialized_copy(items.begin(), items.end(), place);
    return {place, items.size()};
  }
  std::string_view keep(std::string_view text) {
    const auto kept = keep(std::span(text));
    return {kept.data(), kept.size()};
  }

  /// To be called for each thing that is looked at or made: every now and then pages out what is in the file.
  void count_use() {
    if (++uses_ % kUsesInCore == 0 && file_size_ > kUsesInCore * kMappedAround) page_out();
  }
  void page_out();

  /// Bytes in the file.
  std::size_t spilled() const { return file_size_; }

 private:
  static constexpr std::size_t kUsesInCore = 128;
  static constexpr std::size_t kMappedAround = std::size_t{64} * 1024;  ///< by the kernel, for each use

  struct Unmap {
    std::size_t size;
    void operator()(std::byte* block) const;
  };
  using MappedBlock = std::unique_ptr<std::byte, Unmap>;

  void* do_allocate(std::size_t size, std::size_t alignment) override;
  void do_deallocate(void*, std::size_t, std::size_t) override {}
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }
  std::span<std::byte> add_block(std::size_t size);
  std::optional<std::span<std::byte>> try_map(std::size_t size);

  Spill spill_;
  std::size_t in_memory_ = 0;
  std::size_t file_size_ = 0;
  std::size_t uses_ = 0;
  UniqueFd file_;
  std::vector<std::unique_ptr<std::byte[]>> blocks_;
  std::vector<MappedBlock> mapped_;
  std::span<std::byte> free_;  ///< of the newest block
};

/// A row of things in such memory, which never move.
template <class T>
class SpillArray {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  explicit SpillArray(SpillMemory& memory) : memory_(&memory) {}

  std::size_t size() const { return size_; }
  T& operator[](std::size_t index) { return blocks_[index / kBlock][index % kBlock]; }
  const T& operator[](std::size_t index) const { return blocks_[index / kBlock][index % kBlock]; }
  T& push_back(T item) {
    if (size_ % kBlock == 0)
      blocks_.push_back(static_cast<T*>(memory_->allocate(kBlock * sizeof(T), alignof(T))));
    return *::new (&blocks_.back()[size_++ % kBlock]) T(std::move(item));
  }

 private:
  static constexpr std::size_t kBlock = 256;

  SpillMemory* memory_;
  std::vector<T*> blocks_;
  std::size_t size_ = 0;
};

}  // namespace lay
