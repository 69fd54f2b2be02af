#include "server/content/write_buffer.h"

#include <algorithm>

namespace lay::registry::server {

std::unique_ptr<WriteBuffer> WriteBuffer::try_take(std::atomic<unsigned>& left) {
  unsigned count = left;
  while (count > 0)
    if (left.compare_exchange_weak(count, count - 1))
      return std::unique_ptr<WriteBuffer>(new WriteBuffer(left));
  return nullptr;
}

std::span<const std::byte> WriteBuffer::keep(std::span<const std::byte> bytes, std::size_t limit) {
  const std::size_t room = limit - std::min(limit, bytes_.size());
  const auto kept = bytes.first(std::min(room, bytes.size()));
  bytes_.insert(bytes_.end(), kept.begin(), kept.end());
  return bytes.subspan(kept.size());
}

}  // namespace lay::registry::server
