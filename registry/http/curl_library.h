#pragma once

#include <curl/curl.h>

namespace lay::registry {

/// The functions of libcurl that are used. The library is not linked: starting a container must not load it
/// and the TLS stack behind it, so it is opened when the first transfer needs it.
struct CurlLibrary {
  decltype(&::curl_global_init) global_init;
  decltype(&::curl_easy_init) easy_init;
  decltype(&::curl_easy_reset) easy_reset;
  decltype(&::curl_easy_cleanup) easy_cleanup;
  decltype(&::curl_easy_setopt) easy_setopt;
  decltype(&::curl_easy_getinfo) easy_getinfo;
  decltype(&::curl_easy_perform) easy_perform;
  decltype(&::curl_easy_strerror) easy_strerror;
  decltype(&::curl_slist_append) slist_append;
  decltype(&::curl_slist_free_all) slist_free_all;
  decltype(&::curl_url) url;
  decltype(&::curl_url_cleanup) url_cleanup;
  decltype(&::curl_url_get) url_get;
  decltype(&::curl_url_set) url_set;
  decltype(&::curl_free) free;
};

/// Opens the library on the first call, from any thread. Throws unsupported, with the package to install,
/// when it is missing or too old.
const CurlLibrary& curl();

}  // namespace lay::registry
