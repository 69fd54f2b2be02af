#include "chunked_tail.h"

#include "base/error.h"

namespace lay::layerstore {

ChunkedTail::ChunkedTail(const Descriptor& blob, const ChunkedPlaces& places, PartSource& source)
    : places_(places) {
  const std::uint64_t size = blob.size - places.tail();
  StringSink sink;
  source.fetch({.offset = places.tail(), .size = size}, sink);
  bytes_ = sink.text();
  if (bytes_.size() != size) throw Error(Errc::corrupt, "the blob's end is shorter");
  if (digest_of(table()) != places.table_digest)
    throw Error(Errc::corrupt, "the table of contents is not the one that the manifest names");
}

std::string_view ChunkedTail::part(std::uint64_t offset, std::uint64_t size) const {
  return std::string_view(bytes_).substr(static_cast<std::size_t>(offset - places_.tail()),
                                         static_cast<std::size_t>(size));
}

}  // namespace lay::layerstore
