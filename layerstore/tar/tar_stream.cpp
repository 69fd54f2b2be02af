#include "tar/tar_stream.h"

#include <algorithm>
#include <cstring>

#include "base/cancel.h"
#include "base/error.h"
#include "base/syscalls.h"
#include "tar/sparse_map.h"
#include "tar/tar_block.h"

namespace lay::layerstore {

namespace {

constexpr std::size_t kBuffer = 512 * 1024;
constexpr std::size_t kLeastRead = 128 * 1024;  // less room than this is not worth a system call

}  // namespace

TarStream::TarStream(ByteSink& out) : out_(out), buffer_(kBuffer), room_(out.room(buffer_)) {}

void TarStream::append(std::string_view bytes) {
  while (!bytes.empty()) {
    if (room().empty()) flush();
    const std::size_t count = std::min(bytes.size(), room().size());
    std::memcpy(room().data(), bytes.data(), count);
    used_ += count;
    bytes.remove_prefix(count);
  }
}

void TarStream::append_file(const UniqueFd& file, std::uint64_t size) {
  std::uint64_t rest = size;
  for (;;) {
    // One byte more than is due: a short read then means the end, so most files need a single call.
    const std::uint64_t wanted = rest + 1;
    if (room().size() < std::min<std::uint64_t>(wanted, kLeastRead)) flush();
    const std::size_t asked = static_cast<std::size_t>(std::min<std::uint64_t>(wanted, room().size()));
    const std::size_t count = sys::read_some(file, room().first(asked));
    if (count > rest) throw Error::make(Errc::io, "file grew beyond its {} bytes while it was read", size);
    used_ += count;
    rest -= count;
    if (rest == 0 && count < asked) break;
    if (count == 0) throw Error::make(Errc::io, "file shrank below its {} bytes while it was read", size);
    throw_if_cancelled();
  }
  append(std::string(tar_padding(size), '\0'));
}

void TarStream::append_regions(const UniqueFd& file, std::span<const DataRegion> regions) {
  append_pieces(regions, [&](std::span<std::byte> space, std::uint64_t offset) {
    const std::size_t count = sys::pread_some(file, space, offset);
    if (count == 0) throw Error(Errc::io, "file shrank while it was read");
    return count;
  });
}

void TarStream::append_live(const UniqueFd& file, std::span<const DataRegion> regions) {
  append_pieces(regions, [&](std::span<std::byte> space, std::uint64_t offset) {
    if (const std::size_t count = sys::pread_some(file, space, offset); count > 0) return count;
    std::fill(space.begin(), space.end(), std::byte{0});
    return space.size();
  });
}

void TarStream::append_pieces(std::span<const DataRegion> regions, const ReadPiece& read) {
  for (const DataRegion& region : regions) {
    for (std::uint64_t done = 0; done < region.size;) {
      const std::uint64_t rest = region.size - done;
      if (room().size() < std::min<std::uint64_t>(rest, kLeastRead)) flush();
      const std::size_t asked = static_cast<std::size_t>(std::min<std::uint64_t>(rest, room().size()));
      const std::size_t count = read(room().first(asked), region.offset + done);
      used_ += count;
      done += count;
      throw_if_cancelled();
    }
  }
  append(std::string(tar_padding(sum_of(regions)), '\0'));
}

void TarStream::flush() {
  if (used_ == 0) return;
  out_.write(room_.first(used_));
  room_ = out_.room(buffer_);
  flushed_ += used_;
  used_ = 0;
}

}  // namespace lay::layerstore
