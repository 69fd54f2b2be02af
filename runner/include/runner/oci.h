#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/file_lock.h"
#include "base/json.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "runner/processes.h"
#include "runner/spec.h"

/// The runner as an OCI runtime: containers that an engine has made from a bundle, by the operations of the
/// runtime-spec (runtime.md). No process of lay's stays beside them: the caller, or whoever adopts orphans
/// for it (PR_SET_CHILD_SUBREAPER), waits for their first process.
namespace lay::runner {

constexpr const char* kRuntimeSpecVersion = "1.2.0";

/// runtime.md, "State"; paused is an addition that all runtimes have.
enum class OciStatus { creating, created, running, paused, stopped };
std::string_view to_string(OciStatus status);

/// What is settled when a container is created. ROOT/<id>/state.json.
struct OciRecord {
  std::string id;
  std::string bundle;  ///< absolute
  Time created;
  pid_t pid = 0;                     ///< first process, as the runtime sees it; 0 until there is one
  std::uint64_t pid_start_time = 0;  ///< clock ticks after boot, against pid reuse
  std::string boot_id;
  bool is_made = false;       ///< create has come to its end
  bool has_cgroups = false;   ///< it was given some
  std::string cgroup_parent;  ///< where its groups lie beneath the root of each hierarchy; empty: right there
  std::string cgroup_name;
  bool has_late_hooks = false;  ///< poststart or poststop
  std::string rootfs;           ///< absolute
  std::map<std::string, std::string> annotations;
  std::string seccomp_agent;                 ///< its socket, when the profile leaves calls to one
  bool has_own_keyring = true;               ///< not --no-new-keyring
  std::vector<std::string> resctrl_folders;  ///< in which its processes are
  std::vector<std::string> resctrl_made;     ///< those of them that go with it
  std::string mount_namespace;               ///< file of the one that it has joined; empty: its own
  std::uint64_t root_mount = 0;              ///< there: the number of its root's mount
};

/// One container: ROOT/<id>/ with
///   state.json   the record
///   config.json  the bundle's configuration as it was created with
///   lock         held by create, start and delete
///   waiting      locked by the first process until it executes its command
///   start        the socket at which it waits for that
class OciContainer {
 public:
  const OciRecord& record() const { return record_; }
  const std::string& id() const { return record_.id; }
  const UniqueFd& dir() const { return dir_; }
  Spec spec() const;
  OciStatus status() const;
  /// As status(), for the one who holds the container's lock: nobody creates it now.
  OciStatus settled_status() const;
  /// As runtime.md has it: what `state` prints and hooks get.
  Json state() const;
  static Json make_state(const OciRecord& record, OciStatus status);

 private:
  friend class OciStore;
  OciContainer(OciRecord record, UniqueFd dir) : record_(std::move(record)), dir_(std::move(dir)) {}
  OciRecord record_;
  UniqueFd dir_;
};

/// All containers of one --root.
class OciStore {
 public:
  explicit OciStore(std::string root) : root_(std::move(root)) {}

  /// Throws invalid for what is no id, not_found.
  OciContainer find(const std::string& id) const;
  /// Those whose record can be read, by id.
  std::vector<OciContainer> list() const;
  const std::string& root() const { return root_; }

 private:
  std::string root_;
};

/// Told of what is left out of a container and is no error: config.md, "Linux Process", of capabilities.
using OciWarn = std::function<void(const std::string& warning)>;

/// As parse_json(), for what an engine says: a NUL within a string is an error too, for the kernel would take
/// what comes before it for the whole.
Json parse_oci_json(std::string_view text, const std::string& what);

/// How create and run make a container.
struct OciCreateRequest {
  std::string id;
  std::string bundle = ".";
  std::string config;          ///< path of the configuration; empty: config.json of the bundle
  std::string pid_file;        ///< gets the first process's number; empty: none
  std::string console_socket;  ///< AF_UNIX: gets the master of the terminal
  unsigned preserved_fds = 0;  ///< descriptors from 3 on that the command keeps
  unsigned listen_fds = 0;     ///< the first of them are systemd's: sd_listen_fds(3)
  bool moves_root = false;     ///< --no-pivot: for hosts whose root is a ramdisk
  bool new_keyring = true;
  bool uses_cgroups = true;
  OciWarn warn;  ///< empty: nobody listens
};

/// Makes the container, up to its command. Throws what failed; then nothing is left of it.
void oci_create(const OciStore& store, const OciCreateRequest& request);

/// Lets the first process execute its command; returns when it has. Throws what it failed with, no_command
/// and not_invocable among them.
void oci_start(const OciStore& store, const std::string& id);

enum class OciAfterRun { removed, kept };

/// Creates, starts, and waits for the end with this process's own standard streams, or those of a terminal of
/// its own; returns the exit code.
int oci_run(const OciStore& store, const OciCreateRequest& request, OciAfterRun after);
/// Creates and starts.
void oci_run_detached(const OciStore& store, const OciCreateRequest& request);

enum class OciRecipients { first, all };
/// Throws invalid when it is neither created nor running.
void oci_kill(const OciStore& store, const std::string& id, int signal, OciRecipients recipients);

enum class OciRemoval { stopped, forced };
/// Takes away what create made. Throws busy when it is not stopped and the removal is not forced. A forced
/// removal of what is not there is done already.
void oci_remove(const OciStore& store, const std::string& id, OciRemoval removal, const OciWarn& warn = {});

void oci_pause(const OciStore& store, const std::string& id);
void oci_resume(const OciStore& store, const std::string& id);

/// Other limits for a container that lives: `resources` as linux.resources has them; what it does not name
/// stays. `schemata`: others for its class of resctrl, where they are not empty. All or nothing.
void oci_update(const OciStore& store, const std::string& id, const Json& resources,
                const IntelRdt& schemata = {});

/// The processes of its cgroup, subgroups included.
std::vector<pid_t> oci_processes(const OciStore& store, const std::string& id);
/// They, with what the host sees of them: its numbers of processes and users.
std::vector<ProcessInfo> oci_list_processes(const OciStore& store, const std::string& id);

/// What the kernel counts for it, in the form of runc's events: "cpu", "memory", "pids", "blkio", "hugetlb".
Json oci_stats(const OciStore& store, const std::string& id);
/// How many processes of it the kernel killed for want of memory.
std::uint64_t oci_oom_kills(const OciStore& store, const std::string& id);

/// What this runtime can do: runtime-spec features.md.
Json oci_features();

enum class OciSpecKind { root, rootless };
/// A config.json to begin with. Rootless: with a user namespace of the caller's own ids.
Json oci_template(OciSpecKind kind);

/// A process to be executed beside the first one.
struct OciExecRequest {
  std::string id;
  /// What to run, made of the container's own process: defaults as user and environment are its.
  std::function<Process(const Process& own)> process;
  std::string pid_file;
  std::string console_socket;
  std::string cgroup;  ///< a group beneath the container's own; empty: that itself
  unsigned preserved_fds = 0;
  bool may_be_paused = false;  ///< waits until a paused container is resumed, which is an error otherwise
  OciWarn warn;                ///< empty: nobody listens
};

/// Waits for its end; returns the exit code.
int oci_exec(const OciStore& store, const OciExecRequest& request);
/// Returns when the command is executed.
void oci_exec_detached(const OciStore& store, const OciExecRequest& request);

}  // namespace lay::runner
