#pragma once

#include <microhttpd.h>

namespace lay::registry::server {

/// The functions of libmicrohttpd that are used. Not linked, for the reason that curl_library.h gives: only a
/// registry that serves loads it, and GnuTLS behind it.
struct MicrohttpdLibrary {
  decltype(&::MHD_start_daemon) start_daemon;
  decltype(&::MHD_quiesce_daemon) quiesce_daemon;
  decltype(&::MHD_stop_daemon) stop_daemon;
  decltype(&::MHD_get_daemon_info) get_daemon_info;
  decltype(&::MHD_get_connection_info) get_connection_info;
  decltype(&::MHD_get_connection_values) get_connection_values;
  decltype(&::MHD_suspend_connection) suspend_connection;
  decltype(&::MHD_resume_connection) resume_connection;
  decltype(&::MHD_create_response_from_buffer) create_response_from_buffer;
  decltype(&::MHD_create_response_from_callback) create_response_from_callback;
  decltype(&::MHD_create_response_from_fd_at_offset64) create_response_from_fd;
  decltype(&::MHD_add_response_header) add_response_header;
  decltype(&::MHD_queue_response) queue_response;
  decltype(&::MHD_destroy_response) destroy_response;
};

/// Opens the library on the first call. Throws unsupported, with the package to install.
const MicrohttpdLibrary& microhttpd();

}  // namespace lay::registry::server
