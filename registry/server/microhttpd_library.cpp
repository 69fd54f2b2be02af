#include "server/microhttpd_library.h"

#include <dlfcn.h>

#include "base/error.h"

namespace lay::registry::server {

namespace {

constexpr const char* kFile = "libmicrohttpd.so.12";
constexpr const char* kHint = "install it: apt-get install libmicrohttpd12";

template <class Function>
void load(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  if (function == nullptr)
    throw Error::make(Errc::unsupported, "{} lacks '{}'", kFile, name).with_hint(kHint);
}

MicrohttpdLibrary open_library() {
  void* library = ::dlopen(kFile, RTLD_NOW | RTLD_LOCAL);  // never closed: its threads outlive any use
  if (library == nullptr) {
    const char* reason = ::dlerror();
    throw Error::make(Errc::unsupported, "serving a registry needs libmicrohttpd: {}",
                      reason != nullptr ? reason : kFile)
        .with_hint(kHint);
  }
  MicrohttpdLibrary table{};
  load(library, "MHD_start_daemon", table.start_daemon);
  load(library, "MHD_quiesce_daemon", table.quiesce_daemon);
  load(library, "MHD_stop_daemon", table.stop_daemon);
  load(library, "MHD_get_daemon_info", table.get_daemon_info);
  load(library, "MHD_get_connection_info", table.get_connection_info);
  load(library, "MHD_get_connection_values", table.get_connection_values);
  load(library, "MHD_suspend_connection", table.suspend_connection);
  load(library, "MHD_resume_connection", table.resume_connection);
  load(library, "MHD_create_response_from_buffer", table.create_response_from_buffer);
  load(library, "MHD_create_response_from_callback", table.create_response_from_callback);
  load(library, "MHD_create_response_from_fd_at_offset64", table.create_response_from_fd);
  load(library, "MHD_add_response_header", table.add_response_header);
  load(library, "MHD_queue_response", table.queue_response);
  load(library, "MHD_destroy_response", table.destroy_response);
  return table;
}

}  // namespace

const MicrohttpdLibrary& microhttpd() {
  static const MicrohttpdLibrary library = open_library();
  return library;
}

}  // namespace lay::registry::server
