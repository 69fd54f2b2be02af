#include <chrono>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "client/upload.h"
#include "fuzz_target.h"
#include "http/blob_range.h"
#include "http/multipart.h"
#include "http/retry.h"

namespace {

using namespace lay::registry;

/// The input's first line is the Content-Type, the rest the body.
void try_multipart(std::string_view text) {
  const std::vector<lay::layerstore::BlobPart> wanted{{.offset = 2, .size = 3}, {.offset = 10, .size = 1}};
  const std::size_t end = std::min(text.find('\n'), text.size());
  const auto parts = parse_multipart(std::string(text.substr(0, end)),
                                     text.substr(std::min(end + 1, text.size())), wanted, 20);
  if (!parts) return;
  if (parts->size() != wanted.size()) std::abort();
  for (std::size_t i = 0; i < wanted.size(); ++i)
    if ((*parts)[i].size() != wanted[i].size) std::abort();
}

}  // namespace

/// What registries say about parts of blobs and about waiting.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (const auto range = parse_content_range(text))
    if (range->last < range->first || (range->size && *range->size <= range->last)) std::abort();
  parse_upload_range(text);
  parse_retry_after(text, std::chrono::system_clock::from_time_t(784111777));
  try_multipart(text);
  return 0;
}
