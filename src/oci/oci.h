#pragma once

#include <string>

#include "command.h"
#include "runner/oci.h"

/// `lay-oci`, or `lay oci`: the command line of an OCI runtime as runc defined it, which engines call.
namespace lay::cli {

enum class OciLogFormat { text, json };
enum class OciCgroupManager { cgroupfs, disabled };

/// The global flags.
struct OciContext {
  std::string root;  ///< of the containers' states
  std::string log;   ///< file that gets errors; empty: standard error alone
  OciLogFormat log_format = OciLogFormat::text;
  bool is_debug = false;
  OciCgroupManager cgroup_manager = OciCgroupManager::cgroupfs;

  runner::OciStore store() const { return runner::OciStore(root); }
};

struct OciCommand {
  std::string_view name;
  std::string_view summary;
  int (*run)(const OciContext& context, const Arguments& arguments);
};

// By topic, in files of the same folder.
int oci_command_create(const OciContext& context, const Arguments& arguments);
int oci_command_run(const OciContext& context, const Arguments& arguments);
int oci_command_start(const OciContext& context, const Arguments& arguments);
int oci_command_state(const OciContext& context, const Arguments& arguments);
int oci_command_list(const OciContext& context, const Arguments& arguments);
int oci_command_kill(const OciContext& context, const Arguments& arguments);
int oci_command_delete(const OciContext& context, const Arguments& arguments);
int oci_command_pause(const OciContext& context, const Arguments& arguments);
int oci_command_resume(const OciContext& context, const Arguments& arguments);
int oci_command_exec(const OciContext& context, const Arguments& arguments);
int oci_command_update(const OciContext& context, const Arguments& arguments);
int oci_command_events(const OciContext& context, const Arguments& arguments);
int oci_command_spec(const OciContext& context, const Arguments& arguments);
int oci_command_features(const OciContext& context, const Arguments& arguments);
int oci_command_ps(const OciContext& context, const Arguments& arguments);

/// Into the engine's log, or on standard error.
void warn(const OciContext& context, const std::string& message);

/// What stands behind "lay-oci" on the command line; returns the exit code.
int run_oci(const Arguments& words);

}  // namespace lay::cli
