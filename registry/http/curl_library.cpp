#include "http/curl_library.h"

#include "base/error.h"
#include "base/shared_library.h"

namespace lay::registry {

namespace {

CurlLibrary open_library() {
  // Most of the 30 libraries that come with it are never called: finding all their symbols at once would take
  // half a millisecond more.
  const SharedLibrary library("libcurl.so.4", "talking to a registry", "libcurl4",
                              SharedLibrary::Symbols::when_called);
  CurlLibrary table{};
  library.load("curl_global_init", table.global_init);
  library.load("curl_easy_init", table.easy_init);
  library.load("curl_easy_reset", table.easy_reset);
  library.load("curl_easy_cleanup", table.easy_cleanup);
  library.load("curl_easy_setopt", table.easy_setopt);
  library.load("curl_easy_getinfo", table.easy_getinfo);
  library.load("curl_easy_perform", table.easy_perform);
  library.load("curl_easy_strerror", table.easy_strerror);
  library.load("curl_slist_append", table.slist_append);
  library.load("curl_slist_free_all", table.slist_free_all);
  library.load("curl_url", table.url);
  library.load("curl_url_cleanup", table.url_cleanup);
  library.load("curl_url_get", table.url_get);
  library.load("curl_url_set", table.url_set);
  library.load("curl_free", table.free);
  if (table.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
    throw Error::make(Errc::unsupported, "libcurl.so.4 cannot be started");
  return table;
}

}  // namespace

const CurlLibrary& curl() {
  static const CurlLibrary library = open_library();
  return library;
}

}  // namespace lay::registry
