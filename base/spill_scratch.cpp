#include "base/spill_scratch.h"

#include <algorithm>
#include <memory>

namespace lay {

namespace {

constexpr std::size_t kBlock = std::size_t{32} * 1024;

}  // namespace

std::string_view SpillScratch::keep(std::string_view text) {
  char* const place = static_cast<char*>(allocate(text.size(), 1));
  std::copy(text.begin(), text.end(), place);
  return {place, text.size()};
}

void SpillScratch::rewind(const Mark& mark) {
  begun_ = mark.begun;
  free_ = mark.free;
}

/// A block that is too small is passed over; it is used when what is asked for behind it comes first.
void* SpillScratch::do_allocate(std::size_t size, std::size_t alignment) {
  for (;;) {
    void* place = free_.data();
    std::size_t room = free_.size();
    if (std::align(alignment, size, place, room) != nullptr) {
      free_ = {static_cast<std::byte*>(place) + size, room - size};
      return place;
    }
    if (begun_ == blocks_.size()) {
      const std::size_t due = std::max(size + alignment, kBlock);
      blocks_.push_back({static_cast<std::byte*>(memory_.allocate(due, alignof(std::max_align_t))), due});
    }
    free_ = blocks_[begun_++];
  }
}

}  // namespace lay
