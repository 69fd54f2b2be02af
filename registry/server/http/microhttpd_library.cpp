#include "server/http/microhttpd_library.h"

#include "base/shared_library.h"

namespace lay::registry::server {

namespace {

MicrohttpdLibrary open_library() {
  const SharedLibrary library("libmicrohttpd.so.12", "serving a registry", "libmicrohttpd12");
  MicrohttpdLibrary table{};
  library.load("MHD_start_daemon", table.start_daemon);
  library.load("MHD_quiesce_daemon", table.quiesce_daemon);
  library.load("MHD_stop_daemon", table.stop_daemon);
  library.load("MHD_get_daemon_info", table.get_daemon_info);
  library.load("MHD_get_connection_info", table.get_connection_info);
  library.load("MHD_get_connection_values", table.get_connection_values);
  library.load("MHD_suspend_connection", table.suspend_connection);
  library.load("MHD_resume_connection", table.resume_connection);
  library.load("MHD_create_response_from_buffer", table.create_response_from_buffer);
  library.load("MHD_create_response_from_callback", table.create_response_from_callback);
  library.load("MHD_create_response_from_fd_at_offset64", table.create_response_from_fd);
  library.load("MHD_add_response_header", table.add_response_header);
  library.load("MHD_queue_response", table.queue_response);
  library.load("MHD_destroy_response", table.destroy_response);
  return table;
}

}  // namespace

const MicrohttpdLibrary& microhttpd() {
  static const MicrohttpdLibrary library = open_library();
  return library;
}

}  // namespace lay::registry::server
