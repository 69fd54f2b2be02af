#include "base/shared_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <string>

#include "base/error.h"

namespace lay {

namespace {

std::string hint(const char* package) {
  return fmt::format("install it: apt-get install {}", package);
}

}  // namespace

SharedLibrary::SharedLibrary(const char* file, const char* purpose, const char* package, Symbols symbols)
    : file_(file),
      package_(package),
      handle_(::dlopen(file, (symbols == Symbols::at_once ? RTLD_NOW : RTLD_LAZY) | RTLD_LOCAL)) {
  if (handle_ != nullptr) return;
  const char* reason = ::dlerror();
  throw Error::make(Errc::unsupported, "{} needs {}: {}", purpose, file,
                    reason != nullptr ? reason : "not found")
      .with_hint(hint(package));
}

std::optional<SharedLibrary> SharedLibrary::try_open(const char* file, const char* package) {
  void* handle = ::dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return std::nullopt;
  return SharedLibrary(file, package, handle);
}

void* SharedLibrary::symbol(const char* name) const {
  void* found = find_symbol(name);
  if (found == nullptr)
    throw Error::make(Errc::unsupported, "{} lacks '{}'", file_, name).with_hint(hint(package_));
  return found;
}

void* SharedLibrary::find_symbol(const char* name) const noexcept {
  return ::dlsym(handle_, name);
}

}  // namespace lay
