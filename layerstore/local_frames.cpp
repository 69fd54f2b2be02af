#include "local_frames.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/syscalls.h"

namespace lay::layerstore {

LocalFrames::LocalFrames(const Store& store, std::span<const DigestKey> wanted) {
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
  const auto found = frames_.find(key);
  return found == frames_.end() ? nullptr : &found->second;
}

void LocalFrames::add(const Store& store, const Descriptor& layer, std::span<const DigestKey> wanted) {
  const auto size = store.blobs().size(layer.digest);
  if (!size) return;
  UniqueFd file = store.blobs().open(layer.digest);
  const auto places = read_chunked_footer(file, *size);
  if (!places) return;
  std::string table(places->table_size, '\0');
  if (sys::pread_some(file, std::as_writable_bytes(std::span(table)), places->table) != table.size()) return;
  for (const PackedData& data : read_chunked_table(table, places->tail())) {
    if (std::binary_search(wanted.begin(), wanted.end(), data.key))
      frames_.emplace(data.key, LocalData{.blob = files_.size(), .offset = data.offset, .size = data.size});
  }
  files_.push_back(std::move(file));
}

std::size_t read_local(const UniqueFd& file, std::span<std::byte> buffer, std::uint64_t offset) {
  try {
    return sys::pread_some(file, buffer, offset);
  } catch (const Error& error) {
    throw Error::make(Errc::corrupt, "a file of the store: {}", error.message());
  }
}

}  // namespace lay::layerstore
