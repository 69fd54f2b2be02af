#include "chunked/local_frames.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/syscalls.h"

namespace lay::layerstore {

namespace {

/// Reads a part of a blob of the store.
class LocalPart final : public ByteSource {
 public:
  LocalPart(const UniqueFd& file, std::uint64_t begin, std::uint64_t size)
      : file_(file), at_(begin), end_(begin + size) {}
  std::size_t read(std::span<std::byte> out) override {
    const auto due = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), end_ - at_));
    const std::size_t count = sys::pread_some(file_, out.first(due), at_);
    at_ += count;
    return count;
  }

 private:
  const UniqueFd& file_;
  std::uint64_t at_;
  const std::uint64_t end_;
};

}  // namespace

LocalFrames::LocalFrames(const Store& store, std::span<const DigestKey> wanted, const Spill& spill)
    : memory_(spill), frames_(memory_) {
  std::set<Digest> seen;
  for (const NamedImage& named : store.images().list()) {
    try {
      for (const Descriptor& layer : store.load(named.manifest).manifest.layers)
        if (seen.size() < kMaxSources && seen.insert(layer.digest).second) add(store, layer, wanted);
    } catch (const Error&) {  // what cannot be read is of no use here
      continue;
    }
  }
}

const LocalData* LocalFrames::find(DigestKey key) const {
  return frames_.find(key);
}

/// A table that turns out to be wrong further on leaves data that are: as all others, they are checked in
/// what they are put into.
void LocalFrames::add(const Store& store, const Descriptor& layer, std::span<const DigestKey> wanted) {
  const auto size = store.blobs().size(layer.digest);
  if (!size) return;
  UniqueFd file = store.blobs().open(layer.digest);
  const auto places = read_chunked_footer(file, *size);
  if (!places) return;
  files_.push_back(std::move(file));
  LocalPart table(files_.back(), places->table, places->table_size);
  read_chunked_table(table, places->tail(), [&](const PackedData& data) {
    if (!std::binary_search(wanted.begin(), wanted.end(), data.key)) return;
    frames_.try_emplace(data.key, {.blob = files_.size() - 1, .offset = data.offset, .size = data.size});
    is_empty_ = false;
  });
}

std::size_t read_local(const UniqueFd& file, std::span<std::byte> buffer, std::uint64_t offset) {
  try {
    return sys::pread_some(file, buffer, offset);
  } catch (const Error& error) {
    throw Error::make(Errc::corrupt, "a file of the store: {}", error.message());
  }
}

}  // namespace lay::layerstore
