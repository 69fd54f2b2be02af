#include "base/stream.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/cancel.h"
#include "base/syscalls.h"

namespace lay {

namespace {
constexpr std::size_t kBlock = 256 * 1024;
}  // namespace

std::uint64_t pump(ByteSource& source, ByteSink& sink) {
  std::vector<std::byte> buffer(kBlock);
  std::uint64_t moved = 0;
  for (;;) {
    const std::span<const std::byte> bytes = source.borrow(sink.room(buffer));
    if (bytes.empty()) return moved;
    throw_if_cancelled();
    sink.write(bytes);
    moved += bytes.size();
  }
}

std::size_t FdSource::read(std::span<std::byte> out) {
  return sys::read_some(fd_, out);
}

void FdSink::write(std::span<const std::byte> bytes) {
  sys::write_all(fd_, bytes);
}

std::size_t StringSource::read(std::span<std::byte> out) {
  const std::size_t count = std::min(out.size(), rest_.size());
  std::memcpy(out.data(), rest_.data(), count);
  rest_.remove_prefix(count);
  return count;
}

void StringSink::write(std::span<const std::byte> bytes) {
  text_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void TeeSink::write(std::span<const std::byte> bytes) {
  first_.write(bytes);
  second_.write(bytes);
}

void TeeSink::finish() {
  first_.finish();
  second_.finish();
}

}  // namespace lay
