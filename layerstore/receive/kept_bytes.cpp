#include "receive/kept_bytes.h"

#include <algorithm>
#include <vector>

#include "base/cancel.h"
#include "base/error.h"
#include "base/syscalls.h"

namespace lay::layerstore {

void read_kept(const BlobWriter& writer, ByteSink& out) {
  const UniqueFd kept = writer.open_written();
  std::vector<std::byte> buffer(256 * 1024);
  for (std::uint64_t at = 0; at < writer.kept();) {
    throw_if_cancelled();
    const std::uint64_t left = writer.kept() - at;
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(left, buffer.size()));
    const std::size_t count = sys::pread_some(kept, std::span(buffer).first(wanted), at);
    if (count == 0) throw Error(Errc::corrupt, "the kept part of the blob has shrunk");
    out.write(std::span(buffer).first(count));
    at += count;
  }
}

}  // namespace lay::layerstore
