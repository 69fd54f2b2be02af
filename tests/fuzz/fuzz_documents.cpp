#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "fuzz_target.h"
#include "layerstore/image_config.h"
#include "layerstore/manifest.h"

namespace {

/// What was read and written again must be read again, and be written as the same bytes.
template <class Parse, class Write>
void check_round_trip(std::string_view text, Parse parse, Write write) {
  std::string written;
  try {
    written = write(parse(text));
  } catch (const lay::Error&) {
    return;
  }
  if (write(parse(written)) != written) std::abort();
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lay::layerstore;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_round_trip(text, parse_manifest, write_manifest);
  check_round_trip(text, parse_index, write_index);
  check_round_trip(text, parse_image_config, write_image_config);
  try {
    classify_document(text, "");
  } catch (const lay::Error&) {
  }
  return 0;
}
