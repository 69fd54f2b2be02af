#include "curl_library.h"

#include <dlfcn.h>

#include "base/error.h"

namespace lay::registry {

namespace {

constexpr const char* kFile = "libcurl.so.4";
constexpr const char* kHint = "install it: apt-get install libcurl4";

/// Fills one entry of the table with the symbol of that name.
template <class Function>
void load(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  if (function == nullptr)
    throw Error::make(Errc::unsupported, "{} lacks '{}'", kFile, name).with_hint(kHint);
}

CurlLibrary open_library() {
  // Never closed: its threads and TLS state outlive any use. Most of the 30 libraries that come with it are
  // never called: finding all their symbols at once would take half a millisecond more.
  void* library = ::dlopen(kFile, RTLD_LAZY | RTLD_LOCAL);
  if (library == nullptr) {
    const char* reason = ::dlerror();
    throw Error::make(Errc::unsupported, "talking to a registry needs libcurl: {}",
                      reason != nullptr ? reason : kFile)
        .with_hint(kHint);
  }
  CurlLibrary table{};
  load(library, "curl_global_init", table.global_init);
  load(library, "curl_easy_init", table.easy_init);
  load(library, "curl_easy_reset", table.easy_reset);
  load(library, "curl_easy_cleanup", table.easy_cleanup);
  load(library, "curl_easy_setopt", table.easy_setopt);
  load(library, "curl_easy_getinfo", table.easy_getinfo);
  load(library, "curl_easy_perform", table.easy_perform);
  load(library, "curl_easy_strerror", table.easy_strerror);
  load(library, "curl_slist_append", table.slist_append);
  load(library, "curl_slist_free_all", table.slist_free_all);
  load(library, "curl_url", table.url);
  load(library, "curl_url_cleanup", table.url_cleanup);
  load(library, "curl_url_get", table.url_get);
  load(library, "curl_url_set", table.url_set);
  load(library, "curl_free", table.free);
  if (table.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
    throw Error::make(Errc::unsupported, "{} cannot be started", kFile);
  return table;
}

}  // namespace

const CurlLibrary& curl() {
  static const CurlLibrary library = open_library();
  return library;
}

}  // namespace lay::registry
