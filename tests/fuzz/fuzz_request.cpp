#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "fuzz_target.h"
#include "server/access/authenticator.h"
#include "server/api/byte_range.h"
#include "server/api/refusal.h"
#include "server/api/request_target.h"

namespace {

namespace server = lay::registry::server;

/// No name that is accepted can leave the folder it is looked for in.
void check_target(std::string_view text) {
  try {
    const server::RequestTarget target = server::parse_request_target(text);
    for (const std::string& name : {target.repository, target.reference})
      if (name.find("..") == 0 || name.find('\0') != std::string::npos || name.starts_with('/')) std::abort();
    if (target.reference.find('/') != std::string::npos) std::abort();
    for (const auto& [key, value] : target.query)
      if ((key + value).find('\0') != std::string::npos) std::abort();
  } catch (const server::Refusal& refusal) {
    if (refusal.status() < 400 || refusal.status() > 499) std::abort();
  }
}

void check_ranges(std::string_view text) {
  constexpr std::uint64_t kSize = 1000;
  std::uint64_t total = 0;
  if (const auto ranges = server::parse_range(text, kSize))
    for (const server::ByteRange& range : *ranges) {
      if (range.first > range.last || range.last >= kSize) std::abort();
      total += range.size();
    }
  if (total > kSize) std::abort();
  if (const auto chunk = server::parse_chunk_range(text); chunk && chunk->size() == 0) std::abort();
}

}  // namespace

/// What a client puts into a request line, a Range, a Content-Range and an Authorization header.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_target(text);
  check_ranges(text);
  if (const auto credentials = server::parse_basic(text); credentials && credentials->username.empty())
    std::abort();
  return 0;
}
