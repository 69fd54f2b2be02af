#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "fuzz_target.h"
#include "layerstore/digest.h"

/// Whatever is taken for a digest must be safe as a file name, and must be the text that was given.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using lay::layerstore::Digest;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto digest = Digest::try_parse(text);
  if (digest && (digest->to_string() != text ||
                 digest->hex().find_first_not_of("0123456789abcdef") != std::string::npos))
    std::abort();
  try {
    const Digest parsed = Digest::parse(text);
    if (parsed != digest) std::abort();
  } catch (const lay::Error&) {
    if (digest) std::abort();
  }
  return 0;
}
