#include "codec/isal_library.h"

#include <dlfcn.h>

#include <optional>

namespace lay::layerstore {

namespace {

template <class Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  return function != nullptr;
}

std::optional<IsalLibrary> open_library() {
  void* library = ::dlopen("libisal.so.2", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return std::nullopt;
  IsalLibrary table;
  const bool is_complete = find(library, "isal_inflate_init", table.inflate_init) &&
                           find(library, "isal_inflate", table.inflate) &&
                           find(library, "isal_deflate_init", table.deflate_init) &&
                           find(library, "isal_deflate_set_dict", table.deflate_set_dict) &&
                           find(library, "isal_deflate", table.deflate) &&
                           find(library, "crc32_gzip_refl", table.crc32) &&
                           find(library, "crc64_iso_refl", table.crc64_iso);
  return is_complete ? std::optional(table) : std::nullopt;
}

}  // namespace

const IsalLibrary* isal_library() {
  static const std::optional<IsalLibrary> library = open_library();
  return library ? &*library : nullptr;
}

}  // namespace lay::layerstore
