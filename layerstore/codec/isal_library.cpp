#include "codec/isal_library.h"

#include <optional>

#include "base/shared_library.h"

namespace lay::layerstore {

namespace {

std::optional<IsalLibrary> open_library() {
  const std::optional<SharedLibrary> library = SharedLibrary::try_open("libisal.so.2", "libisal2");
  if (!library) return std::nullopt;
  IsalLibrary table;
  const bool is_complete = library->try_load("isal_inflate_init", table.inflate_init) &&
                           library->try_load("isal_inflate", table.inflate) &&
                           library->try_load("isal_deflate_init", table.deflate_init) &&
                           library->try_load("isal_deflate_set_dict", table.deflate_set_dict) &&
                           library->try_load("isal_deflate", table.deflate) &&
                           library->try_load("crc32_gzip_refl", table.crc32) &&
                           library->try_load("crc64_iso_refl", table.crc64_iso);
  return is_complete ? std::optional(table) : std::nullopt;
}

}  // namespace

const IsalLibrary* isal_library() {
  static const std::optional<IsalLibrary> library = open_library();
  return library ? &*library : nullptr;
}

}  // namespace lay::layerstore
