#include <unistd.h>

#include <cstdlib>
#include <string>

#include "base/text.h"
#include "flags/options.h"
#include "oci/oci.h"

namespace lay::cli {

namespace {

void add_create_flags(Parser& parser, runner::OciCreateRequest& request) {
  parser.add_option("-b,--bundle", request.bundle, "folder of the bundle; the current one").type_name("DIR");
  parser.add_option("-f,--config", request.config, "configuration, instead of the bundle's config.json")
      .type_name("FILE");
  parser.add_option("--pid-file", request.pid_file, "gets the number of the first process").type_name("FILE");
  parser.add_option("--console-socket", request.console_socket, "unix socket that gets the terminal")
      .type_name("PATH");
  parser.add_option("--preserve-fds", request.preserved_fds, "descriptors from 3 on that the command keeps")
      .type_name("N");
  parser.add_flag("--no-pivot", request.moves_root, "for a host whose root is a ramdisk");
  parser.add_flag("!--no-new-keyring", request.new_keyring, "keep the caller's session keyring");
  parser.add_option("id", request.id, "a name for the container").required();
}

/// Sockets of systemd's activation (sd_listen_fds(3)) go to the command, too.
void add_activation(runner::OciCreateRequest& request) {
  const char* count = std::getenv("LISTEN_FDS");
  const char* receiver = std::getenv("LISTEN_PID");
  if (count == nullptr || receiver == nullptr || receiver != std::to_string(::getpid())) return;
  request.listen_fds = static_cast<unsigned>(parse_number(count).value_or(0));
  request.preserved_fds += request.listen_fds;
}

void finish(const OciContext& context, runner::OciCreateRequest& request) {
  require_root("oci");
  request.uses_cgroups = context.cgroup_manager == OciCgroupManager::cgroupfs;
  request.warn = [&](const std::string& warning) { warn(context, warning); };
  add_activation(request);
}

}  // namespace

int oci_command_create(const OciContext& context, const Arguments& arguments) {
  runner::OciCreateRequest request;
  Parser parser("oci create", "[flags] ID", "Makes a container, up to its command.");
  add_create_flags(parser, request);
  parser.parse(arguments);
  finish(context, request);
  runner::oci_create(context.store(), request);
  return 0;
}

int oci_command_run(const OciContext& context, const Arguments& arguments) {
  runner::OciCreateRequest request;
  bool is_detached = false;
  bool is_kept = false;
  bool no_subreaper = false;
  Parser parser("oci run", "[flags] ID", "Makes a container and starts it.");
  add_create_flags(parser, request);
  parser.add_flag("-d,--detach", is_detached, "return when it is started");
  parser.add_flag("--keep", is_kept, "leave its state when it has ended");
  parser.add_flag("--no-subreaper", no_subreaper, "taken for others' sake: there is none");
  parser.parse(arguments);
  finish(context, request);
  if (!is_detached)
    return runner::oci_run(context.store(), request,
                           is_kept ? runner::OciAfterRun::kept : runner::OciAfterRun::removed);
  runner::oci_run_detached(context.store(), request);
  return 0;
}

int oci_command_start(const OciContext& context, const Arguments& arguments) {
  std::string id;
  Parser parser("oci start", "ID", "Lets a created container execute its command.");
  parser.add_option("id", id).required();
  parser.parse(arguments);
  runner::oci_start(context.store(), id);
  return 0;
}

}  // namespace lay::cli
