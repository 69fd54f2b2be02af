#include "http/same_site.h"

#include <dlfcn.h>
#include <libpsl.h>

#include "http/address.h"

namespace lay::registry {

namespace {

struct PslLibrary {
  decltype(&::psl_builtin) builtin = nullptr;
  decltype(&::psl_registrable_domain) registrable_domain = nullptr;
};

PslLibrary open_library() {
  void* library = ::dlopen("libpsl.so.5", RTLD_NOW | RTLD_LOCAL);  // libcurl has it open as well
  if (library == nullptr) return {};
  return {.builtin = reinterpret_cast<decltype(&::psl_builtin)>(::dlsym(library, "psl_builtin")),
          .registrable_domain = reinterpret_cast<decltype(&::psl_registrable_domain)>(
              ::dlsym(library, "psl_registrable_domain"))};
}

/// Empty when the host has none.
std::string registrable_domain(const std::string& host) {
  static const PslLibrary library = open_library();
  if (library.builtin == nullptr || library.registrable_domain == nullptr) return {};
  const psl_ctx_t* list = library.builtin();
  const char* domain = list != nullptr ? library.registrable_domain(list, host.c_str()) : nullptr;
  return domain != nullptr ? domain : std::string();
}

bool is_address(const std::string& host) {
  return host.front() == '[' || host.find_first_not_of("0123456789.") == std::string::npos;
}

}  // namespace

bool is_same_site(const std::string& a, const std::string& b) {
  if (a == b || (is_loopback_host(a) && is_loopback_host(b))) return true;
  if (a.empty() || b.empty() || is_address(a) || is_address(b)) return false;
  const std::string domain = registrable_domain(a);
  return !domain.empty() && domain == registrable_domain(b);
}

}  // namespace lay::registry
