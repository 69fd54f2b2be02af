#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/file_lock.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "runner/network.h"
#include "runner/spec.h"

namespace lay::runner {

/// What becomes of what a container writes to stdout and stderr.
struct LogConfig {
  bool is_kept = true;
  std::uint64_t max_bytes = 32 * 1024 * 1024;  ///< of both files together

  bool operator==(const LogConfig&) const = default;
};

inline constexpr unsigned kStopTimeout = 10;  // seconds

/// Who runs a container: lay's own runner, or another OCI runtime on its behalf.
struct RuntimeChoice {
  std::string program;             ///< absolute path; empty: lay itself
  std::vector<std::string> flags;  ///< global ones, in front of its command

  bool is_own() const { return program.empty(); }
  bool operator==(const RuntimeChoice&) const = default;
};

/// What only the start that `run` makes is given, by the caller and for his own descriptors: nothing of it is
/// kept.
struct FirstRun {
  unsigned preserved_fds = 0;  ///< descriptors from 3 on that the command keeps
  bool shows_out = true;       ///< in front: its output goes to lay's own
  bool shows_errors = true;
  bool passes_signals = true;  ///< in front: those that lay gets

  bool operator==(const FirstRun&) const = default;
};

/// Everything about a container that is settled when it is created. container.json; spec is config.json.
struct ContainerConfig {
  std::string id;    ///< 64 hex digits; made by create() when empty
  std::string name;  ///< unique within the root; made by create() when empty
  Time created;
  std::vector<std::string> lowers;  ///< folders to mount beneath the upper, topmost first, absolute
  NetworkConfig network;
  /// Containers whose namespaces are joined, by id; for pid, ipc and uts. The network has its own way.
  std::map<NamespaceType, std::string> joined;
  bool shares_ipc = true;    ///< not with --ipc private: others may join its IPC namespace
  bool open_stdin = false;   ///< -i
  bool auto_remove = false;  ///< --rm
  LogConfig log;
  RuntimeChoice runtime;
  std::string stop_signal;               ///< "SIGTERM" when empty
  unsigned stop_timeout = kStopTimeout;  ///< seconds between the stop signal and SIGKILL
  std::chrono::seconds timeout{0};       ///< what it may run at most, before SIGKILL; 0: for ever
  std::string pid_file;  ///< absolute; each start writes the number of the first process there; empty: none
  FirstRun first_run;
  /// The caller's own notes (image name, manifest digest …): kept, shown by inspect, never read here.
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> notes;
  Spec spec;
};

enum class Status { created, running, exited };
std::string_view to_string(Status status);

/// What has become of it. state.json, written by whoever supervises it.
struct ContainerState {
  Status status = Status::created;
  pid_t pid = 0;                     ///< first process, as the host sees it; 0 when not running
  std::uint64_t pid_start_time = 0;  ///< clock ticks after boot (proc(5) stat field 22), against pid reuse
  std::string boot_id;
  std::optional<Time> started;
  std::optional<Time> finished;
  int exit_code = 0;        ///< 128 + N after signal N
  bool oom_killed = false;  ///< the kernel killed a process of it for want of memory
  std::string address;      ///< on lay's bridge, such as "10.99.0.2"; empty without one
  std::string gateway;
  std::string mac_address;
  std::vector<PortMapping> ports;  ///< published while it runs, with the host ports really taken
  std::string error;               ///< why it could not be started
  /// Its supervisor was killed, in this boot. "running": processes of it live on, without one; `pid` is 0
  /// when its first is none of them. Never written.
  bool is_abandoned = false;
  std::string delegated;  ///< the folder of what another runtime keeps of it; empty with lay's own
};

/// A container's folder: containers/<id>/ with config.json container.json state.json lock log, upper/ work/
/// for the overlay, and hosts hostname resolv.conf, which are bound over the image's own in /etc.
class Container {
 public:
  const ContainerConfig& config() const { return config_; }
  /// Other lowers for a start from here; container.json keeps those it was created with.
  void use_lowers(std::vector<std::string> lowers) { config_.lowers = std::move(lowers); }
  /// Other limits from the next start on; config.json is written at once.
  void save_limits(const Resources& resources, const std::optional<IntelRdt>& rdt);
  /// Other networks from the next start on; container.json is written at once.
  void save_network(const NetworkConfig& network);
  const UniqueFd& dir() const { return dir_; }
  /// Absolute path of the folder.
  const std::string& path() const { return path_; }
  UniqueFd open_upper() const;
  /// Its files stay for as long as this is held, even if somebody removes the container meanwhile. Throws
  /// not_found when it is removed already.
  FileLock keep_files() const;
  /// Shared, nobody captures the upper: held by whoever starts it, pauses it, lets it go on or stops it.
  /// Exclusive, nobody does any of that: it is being captured, as of one moment. Waits for the others.
  FileLock lock_upper(LockMode mode) const;
  /// state.json and the rest need not survive a power cut: a container with auto_remove is not missed then.
  bool is_ephemeral() const { return config_.auto_remove; }

  /// Its settings and its name survive a power cut from here on. create() leaves that to its first start,
  /// which does it beside other work, or to save_state(). Does nothing once done, or when it is ephemeral.
  void make_durable() const;
  /// Another process syncs them; if that fails, it is not told here.
  void leave_sync_to_other() const {
    if (on_disk_ == OnDisk::not_yet) on_disk_ = OnDisk::unknown;
  }

  /// Why its files cannot be read, for one that ContainerStore gave as damaged; empty when all is well.
  const std::string& damage() const { return damage_; }

  /// The state as of now: "running" is checked against lock and processes, so that a killed supervisor or a
  /// reboot reads as exited, unless processes of the container live on.
  ContainerState state() const;
  /// The same for the one who holds its lock: nobody else can be running it.
  ContainerState state_at_rest(const FileLock& held) const;
  void save_state(const ContainerState& state) const;
  /// The state as a file that nobody sees before it is published or committed. It needs this container's
  /// folder.
  std::unique_ptr<AtomicFile> prepare_state(const ContainerState& state) const;
  /// Held by the supervisor while the container lives: it is the truth about "running". A container that was
  /// made just now is locked already, and gives that lock away once: nobody removes it before its first run.
  /// Throws not_found when it is removed already.
  std::optional<FileLock> try_lock() const;
  /// Not when it is removed, or being removed.
  bool is_there() const;
  /// Throws not_found when it is not.
  void check_is_there() const;
  /// Still with the lock of its first run: nothing can be left of an earlier one.
  bool is_new() const { return first_lock_.has_value(); }
  /// A process that was forked from this one has the lock of the first run.
  void leave_lock_to_other() const { first_lock_.reset(); }

 private:
  friend class ContainerStore;
  /// Whether its settings survive a power cut; unknown: a sync may have failed.
  enum class OnDisk { yes, not_yet, unknown };
  Container(ContainerConfig config, std::string path, UniqueFd dir);
  ContainerConfig config_;
  std::string path_;
  UniqueFd dir_;
  mutable std::optional<FileLock> first_lock_;
  mutable OnDisk on_disk_ = OnDisk::yes;
  std::string damage_;
};

/// The files of a container that is removed already.
class RemovedContainer {
 public:
  /// Does nothing when somebody still reads them (Container::keep_files()): a later sweep takes them.
  void delete_files() const;

 private:
  friend class ContainerStore;
  UniqueFd containers_;
  std::string folder_;
  std::optional<FileLock> removing_;
};

/// ROOT/containers and the names in it.
class ContainerStore {
 public:
  /// `root` is lay's root folder; `run` is RUN. Both are absolute. Nothing is made before create().
  ContainerStore(std::string root, std::string run) : root_(std::move(root)), run_(std::move(run)) {}

  /// Makes the folder with empty upper and work and the files for /etc; Container::make_durable() has still
  /// to come. Throws busy when the name is taken, with a hint; invalid when it is not
  /// [A-Za-z0-9][A-Za-z0-9_.-]*.
  Container create(ContainerConfig config) const;
  /// By id, name or unambiguous id prefix, in this order; throws not_found or invalid (ambiguous), with a
  /// hint.
  Container find(const std::string& name) const;
  /// As find(); empty when no container has that name or id, or not any more.
  std::optional<Container> try_find(const std::string& name) const;
  /// As find(); one whose files are damaged is given with id, name, and what else of container.json can be
  /// read: enough to remove it.
  Container find_even_damaged(const std::string& name) const;
  /// All that can be read; one that is damaged must not hide the others.
  std::vector<Container> list() const;
  /// The rest, as find_even_damaged() gives them.
  std::vector<Container> list_damaged() const;
  /// Both. To be asked when one that is left out would do harm: what cannot be read now may be read in a
  /// moment.
  std::vector<Container> list_even_damaged() const;
  /// Removes folder and name. Throws busy while it runs.
  void remove(const Container& container) const;
  /// As remove, for the one who holds the container's lock: name and folder are gone for everybody else, the
  /// files when delete_files() is called, or by a later sweep.
  RemovedContainer take_out(const Container& container, const FileLock& held) const;
  /// Takes away the files of removed containers that were still read then (Container::keep_files()), or whose
  /// remover was killed. Every create() does so too.
  void sweep_removed() const;

  const std::string& root() const { return root_; }
  const std::string& run() const { return run_; }

 private:
  /// ROOT/containers and the folder of names in it, open.
  struct Folders {
    UniqueFd containers;
    UniqueFd names;
  };
  /// Empty as long as no container was ever made.
  std::optional<Folders> open_folders() const;
  Folders make_folders() const;

  Container open(const Folders& folders, const std::string& id) const;
  Container open_damaged(const Folders& folders, const std::string& id, const Error& why) const;

  std::string root_;
  std::string run_;
};

/// A random name of two words: "quiet_otter".
std::string random_name();

}  // namespace lay::runner
