#include "http/same_site.h"

#include <libpsl.h>

#include <optional>

#include "base/shared_library.h"
#include "http/address.h"

namespace lay::registry {

namespace {

struct PslLibrary {
  decltype(&::psl_builtin) builtin = nullptr;
  decltype(&::psl_registrable_domain) registrable_domain = nullptr;
};

std::optional<PslLibrary> open_library() {
  const auto library = SharedLibrary::try_open("libpsl.so.5", "libpsl5");  // libcurl has it open as well
  PslLibrary table;
  const bool is_complete = library && library->try_load("psl_builtin", table.builtin) &&
                           library->try_load("psl_registrable_domain", table.registrable_domain);
  return is_complete ? std::optional(table) : std::nullopt;
}

/// Empty when the host has none.
std::string registrable_domain(const std::string& host) {
  static const std::optional<PslLibrary> library = open_library();
  if (!library) return {};
  const psl_ctx_t* list = library->builtin();
  const char* domain = list != nullptr ? library->registrable_domain(list, host.c_str()) : nullptr;
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
