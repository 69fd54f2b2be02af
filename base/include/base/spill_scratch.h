#pragma once

#include <cstddef>
#include <memory_resource>
#include <span>
#include <string_view>
#include <vector>

#include "base/spill_memory.h"

namespace lay {

/// Such memory that is taken back from its end, as on a stack, and used again. Of one thread.
class SpillScratch final : public std::pmr::memory_resource {
 public:
  explicit SpillScratch(const Spill& spill) : memory_(spill) {}

  std::string_view keep(std::string_view text);
  void count_use() { memory_.count_use(); }
  /// Bytes in the file.
  std::size_t spilled() const { return memory_.spilled(); }

  /// How far it is taken.
  struct Mark {
    std::size_t begun;
    std::span<std::byte> free;
  };
  Mark mark() const { return {begun_, free_}; }
  /// What was made since `mark` is not there any more.
  void rewind(const Mark& mark);

 private:
  void* do_allocate(std::size_t size, std::size_t alignment) override;
  void do_deallocate(void*, std::size_t, std::size_t) override {}
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }

  SpillMemory memory_;
  std::vector<std::span<std::byte>> blocks_;
  std::size_t begun_ = 0;      ///< blocks
  std::span<std::byte> free_;  ///< of the one that was begun last
};

}  // namespace lay
