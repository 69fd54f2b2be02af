# Debian 12 packages only; docs/architecture.md says why each is here.
# Static archives where Debian has them: `lay run` must not load at start what only a transfer needs.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_path(LAY_FMT_INCLUDE fmt/format-inl.h REQUIRED)  # headers only: base/fmt_library.cpp compiles them
find_package(nlohmann_json 3.11 REQUIRED)

# lay_static(TARGET ARCHIVE HEADER): imports one static archive from the system.
function(lay_static target archive header)
  find_library(${target}_LIBRARY NAMES lib${archive}.a REQUIRED)
  find_path(${target}_INCLUDE ${header} REQUIRED)
  add_library(${target} STATIC IMPORTED GLOBAL)
  set_target_properties(${target} PROPERTIES IMPORTED_LOCATION ${${target}_LIBRARY})
  target_include_directories(${target} SYSTEM INTERFACE ${${target}_INCLUDE})
endfunction()

lay_static(lay_archive archive archive.h)
lay_static(lay_lzma lzma lzma.h)
lay_static(lay_bz2 bz2 bzlib.h)
target_link_libraries(lay_archive INTERFACE lay_lzma lay_bz2)  # the only filters of libarchive that are linked
lay_static(lay_zlib z zlib.h)
find_path(LAY_ZSTD_INCLUDE zstd.h REQUIRED)  # headers only, as the next: loaded when a layer is read or written
find_path(LAY_ISAL_INCLUDE isa-l/igzip_lib.h REQUIRED)
lay_static(lay_crypto crypto openssl/evp.h)
target_link_libraries(lay_crypto INTERFACE Threads::Threads ${CMAKE_DL_LIBS})
lay_static(lay_nftnl nftnl libnftnl/table.h)
pkg_check_modules(lay_mnl REQUIRED IMPORTED_TARGET GLOBAL libmnl)
target_link_libraries(lay_nftnl INTERFACE PkgConfig::lay_mnl)
lay_static(lay_seccomp seccomp seccomp.h)   # build time only: compiles the default profile
find_path(LAY_CURL_INCLUDE curl/curl.h REQUIRED)  # headers only: the library is loaded on first transfer
find_path(LAY_MICROHTTPD_INCLUDE microhttpd.h REQUIRED)  # headers only: both are loaded when a registry is served
find_path(LAY_CRYPT_INCLUDE crypt.h REQUIRED)
find_path(LAY_PSL_INCLUDE libpsl.h REQUIRED)  # header only: loaded when a token server is another host
find_path(LAY_TOML_INCLUDE toml++/toml.h REQUIRED)  # headers only: registries.conf
