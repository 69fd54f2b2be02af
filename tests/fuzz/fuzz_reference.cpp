#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "fuzz_target.h"
#include "registry/reference.h"

/// What is accepted is a fixed point: written out and read again it is the same.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const lay::registry::Reference reference = lay::registry::parse_reference(text);
    if (lay::registry::parse_reference(lay::registry::to_string(reference)) != reference) std::abort();
    if (lay::registry::parse_reference(lay::registry::local_name(text)) != reference) std::abort();
  } catch (const lay::Error&) {
  }
  return 0;
}
