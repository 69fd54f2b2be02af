#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

/// The OCI runtime-spec 1.2, field by field, as far as lay uses it (config.md, config-linux.md). Names are
/// the specification's in snake_case. The one struct from which a container is started.
namespace lay::runner {

struct User {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::vector<std::uint32_t> additional_gids;
  std::optional<std::uint32_t> umask;
  /// "user", "user:group", "uid", "uid:gid": when set it is looked up in the container's own /etc/passwd and
  /// /etc/group at start, and the numbers above are ignored.
  std::string username;
  /// More supplementary groups: names of the container's own /etc/group, or numbers. Not in the runtime-spec.
  std::vector<std::string> group_names;
  /// The primary group is a supplementary one, too, as with docker; a bundle lists it or does not. Not in the
  /// runtime-spec.
  bool lists_primary_group = true;
};

struct Rlimit {
  std::string type;  ///< "RLIMIT_NOFILE"
  std::uint64_t hard = 0;
  std::uint64_t soft = 0;
};

/// Names as "CAP_CHOWN".
struct Capabilities {
  std::vector<std::string> bounding;
  std::vector<std::string> effective;
  std::vector<std::string> permitted;
  std::vector<std::string> inheritable;
  std::vector<std::string> ambient;
};

struct ConsoleSize {
  std::uint16_t height = 0;
  std::uint16_t width = 0;
};

/// ioprio_set(2). The level is 0 (first) to 7; the class idle has none.
struct IoPriority {
  enum class Class { realtime, best_effort, idle };
  Class level_class = Class::best_effort;
  int priority = 0;
};

/// sched_setattr(2).
struct Scheduler {
  std::string policy;              ///< "SCHED_OTHER" …
  std::int32_t nice = 0;           ///< -20 (first) to 19, of OTHER and BATCH
  std::int32_t priority = 0;       ///< 1 to 99, of FIFO and RR
  std::vector<std::string> flags;  ///< "SCHED_FLAG_RESET_ON_FORK" …
  std::uint64_t runtime = 0;       ///< nanoseconds, of DEADLINE as the next two
  std::uint64_t deadline = 0;
  std::uint64_t period = 0;
};

/// On which processors a command beside the first one runs, before and after it has entered the cgroup; in
/// the form of cpuset(7) lists, empty: as it is.
struct CpuAffinity {
  std::string initial;
  std::string final_;
};

struct Process {
  bool terminal = false;
  ConsoleSize console_size;
  User user;
  std::vector<std::string> args;
  std::vector<std::string> env;  ///< "NAME=value"
  std::string cwd = "/";
  Capabilities capabilities;
  std::vector<Rlimit> rlimits;
  std::optional<int> oom_score_adj;  ///< -1000 (never killed) to 1000; empty: as lay's
  bool no_new_privileges = false;
  std::string apparmor_profile;
  std::string selinux_label;
  std::optional<IoPriority> io_priority;
  std::optional<Scheduler> scheduler;
  CpuAffinity exec_cpu_affinity;
  /// A first process of lay's own stands before the command and reaps. Not in the runtime-spec: an
  /// annotation.
  bool has_init = false;
};

struct Root {
  std::string path;
  bool readonly = false;
};

/// A row of ids that a user namespace has under other numbers than the host.
struct IdMapping {
  std::uint32_t container_id = 0;
  std::uint32_t host_id = 0;
  std::uint32_t size = 0;

  bool operator==(const IdMapping&) const = default;
};

struct Mount {
  std::string destination;
  std::string type;  ///< "proc", "tmpfs", "bind" …
  std::string source;
  std::vector<std::string> options;
  /// Of a bind mount with "idmap" or "ridmap"; empty: the container's own.
  std::vector<IdMapping> uid_mappings = {};
  std::vector<IdMapping> gid_mappings = {};
};

enum class NamespaceType { pid, network, mount, ipc, uts, user, cgroup, time };

struct Namespace {
  NamespaceType type;
  std::string path;  ///< empty: a new one
};

struct Device {
  std::string path;
  std::string type;  ///< "c" or "u", "b", "p"
  std::int64_t major = 0;
  std::int64_t minor = 0;
  std::uint32_t file_mode = 0666;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};

struct DeviceRule {
  bool allow = false;
  std::string type = "a";             ///< "a", "b", "c"
  std::optional<std::int64_t> major;  ///< empty: any
  std::optional<std::int64_t> minor;
  std::string access = "rwm";

  bool operator==(const DeviceRule&) const = default;
};

/// A number for one block device: a weight, or a rate per second.
struct BlockDeviceValue {
  std::int64_t major = 0;
  std::int64_t minor = 0;
  std::uint64_t value = 0;  ///< of rates 0 is no limit

  bool operator==(const BlockDeviceValue&) const = default;
};

struct BlockIo {
  std::optional<std::uint16_t> weight;       ///< among others, 10 to 1000
  std::optional<std::uint16_t> leaf_weight;  ///< v1's CFQ, which no kernel from 5.0 on has
  std::vector<BlockDeviceValue> weights;
  std::vector<BlockDeviceValue> leaf_weights;
  std::vector<BlockDeviceValue> read_bytes;  ///< a second
  std::vector<BlockDeviceValue> write_bytes;
  std::vector<BlockDeviceValue> read_operations;
  std::vector<BlockDeviceValue> write_operations;

  bool operator==(const BlockIo&) const = default;
};

struct HugepageLimit {
  std::string page_size;    ///< as the kernel names it: "2MB", "1GB"
  std::uint64_t limit = 0;  ///< bytes

  bool operator==(const HugepageLimit&) const = default;
};

/// What a program's traffic over one link of the host counts against others': v1's net_prio.
struct LinkPriority {
  std::string name;
  std::uint32_t priority = 0;

  bool operator==(const LinkPriority&) const = default;
};

/// At one RDMA device, by its name.
struct RdmaLimit {
  std::optional<std::uint32_t> handles;
  std::optional<std::uint32_t> objects;

  bool operator==(const RdmaLimit&) const = default;
};

/// Of "memory", what kernels have given up or only v1 has.
struct ObsoleteMemory {
  std::optional<std::int64_t> kernel;
  std::optional<std::int64_t> kernel_tcp;
  std::optional<bool> use_hierarchy;

  bool operator==(const ObsoleteMemory&) const = default;
};

struct Resources {
  std::optional<std::int64_t> memory_limit;        ///< bytes
  std::optional<std::int64_t> memory_swap;         ///< bytes of memory and swap together; -1 unlimited
  std::optional<std::int64_t> memory_reservation;  ///< bytes that are taken from it last
  std::optional<std::uint64_t> memory_swappiness;  ///< 0 to 100
  std::optional<bool> disable_oom_killer;          ///< processes wait for memory instead of being killed
  bool check_before_update = false;                ///< a new memory limit below what is used is refused
  ObsoleteMemory obsolete_memory;
  std::optional<std::int64_t> cpu_quota;  ///< microseconds in each period
  std::optional<std::uint64_t> cpu_period;
  std::optional<std::uint64_t> cpu_shares;           ///< weight among others, 1024 by default (v1's scale)
  std::optional<std::uint64_t> cpu_burst;            ///< microseconds that may be saved up beyond the quota
  std::optional<std::int64_t> cpu_realtime_runtime;  ///< microseconds in each of the next; v1 only
  std::optional<std::uint64_t> cpu_realtime_period;
  std::optional<std::int64_t> cpu_idle;  ///< 1: only what no other group wants
  std::string cpus;                      ///< cpuset(7) list; empty: any
  std::string mems;
  std::optional<std::int64_t> pids_limit;  ///< -1 unlimited
  std::vector<DeviceRule> devices;
  BlockIo block_io;
  std::vector<HugepageLimit> hugepages;
  std::optional<std::uint32_t> network_class;  ///< v1's net_cls
  std::vector<LinkPriority> link_priorities;
  std::map<std::string, RdmaLimit> rdma;
  /// Files of the cgroup by name, "memory.high", written last. The runtime-spec knows them in v2 only.
  std::map<std::string, std::string> unified;

  bool operator==(const Resources&) const = default;
};

/// What a clock of a time namespace is ahead of the host's, time_namespaces(7).
struct TimeOffset {
  std::int64_t secs = 0;
  std::uint32_t nanosecs = 0;

  bool operator==(const TimeOffset&) const = default;
};

enum class SeccompAction { kill_process, kill_thread, trap, error, notify, trace, log, allow };
enum class SeccompOperator { ne, lt, le, eq, ge, gt, masked_eq };

/// What an argument of a system call has to be. With masked_eq `value` is the mask, `value_two` what remains.
struct SeccompArgument {
  std::uint32_t index = 0;
  std::uint64_t value = 0;
  std::uint64_t value_two = 0;
  SeccompOperator op = SeccompOperator::eq;

  bool operator==(const SeccompArgument&) const = default;
};

struct SeccompRule {
  std::vector<std::string> names;
  SeccompAction action = SeccompAction::allow;
  std::optional<std::uint32_t> errno_ret;  ///< of the actions error and trace; EPERM when empty
  std::vector<SeccompArgument> args;       ///< all of them; those of one index, any of them
};

/// linux.seccomp: config-linux.md, "Seccomp".
struct Seccomp {
  SeccompAction default_action = SeccompAction::error;
  std::optional<std::uint32_t> default_errno_ret;
  std::vector<std::string> architectures;  ///< "SCMP_ARCH_X86" …, beside the native one
  std::vector<std::string> flags;          ///< "SECCOMP_FILTER_FLAG_LOG" …
  std::string listener_path;
  std::string listener_metadata;
  std::vector<SeccompRule> syscalls;
};

/// listed: Linux::seccomp_rules.
enum class SeccompProfile { builtin, unconfined, listed };

/// personality(2). The spec knows no flags yet.
enum class PersonalityDomain { linux64, linux32 };

/// What the container's root shares with the mount it was made of: mount_namespaces(7).
/// mount(8)'s words; those that begin with r are for what is mounted beneath the root as well.
enum class RootPropagation { shared, slave, private_, unbindable, rshared, rslave, rprivate, runbindable };

/// resctrl(5) of x86: a class of service.
struct IntelRdt {
  std::string class_id;          ///< closID; empty: the container's id
  std::string l3_schema;         ///< l3CacheSchema
  std::string memory_schema;     ///< memBwSchema
  bool monitors_cache = false;   ///< enableCMT
  bool monitors_memory = false;  ///< enableMBM
};

struct Linux {
  std::vector<Namespace> namespaces;
  std::vector<Device> devices;
  std::string cgroups_path;
  Resources resources;
  std::vector<std::string> masked_paths;
  std::vector<std::string> readonly_paths;
  std::map<std::string, std::string> sysctl;
  SeccompProfile seccomp = SeccompProfile::builtin;
  std::optional<Seccomp> seccomp_rules;
  std::vector<IdMapping> uid_mappings;
  std::vector<IdMapping> gid_mappings;
  /// --userns auto: at each start that many ids which no other container has; the maps above are empty then.
  /// Kept in the annotation "dev.lay.userns".
  std::optional<std::uint32_t> auto_ids;
  std::map<std::string, TimeOffset> time_offsets;  ///< by clock: "monotonic", "boottime"
  std::optional<RootPropagation> root_propagation;
  std::string mount_label;  ///< SELinux
  std::optional<PersonalityDomain> personality;
  std::optional<IntelRdt> intel_rdt;
};

struct Spec {
  std::string oci_version = "1.2.0";
  Process process;
  Root root;
  std::string hostname;
  std::string domainname = {};
  std::vector<Mount> mounts;
  std::map<std::string, std::string> annotations;
  Linux linux_;
};

/// lay's defaults, before image and flags are put in: namespaces, mounts, devices, capabilities, masked and
/// read-only paths (docs/runner.md, "Defaults of a container").
Spec default_spec();
/// True when the namespace is in the list (and so is not the host's).
bool has_namespace(const Spec& spec, NamespaceType type);

/// True when the namespace is neither the host's nor one that is joined by its path.
bool has_own_namespace(const Spec& spec, NamespaceType type);

/// config.json as the runtime-spec has it. The built-in seccomp profile is written by name in an annotation,
/// "dev.lay.seccomp", not spelled out; listed rules stand in linux.seccomp.
Json to_json(const Spec& spec);
Spec parse_spec(const Json& json);
/// The "process" part alone, as an engine gives it for a command beside the first one.
Process parse_process(const Json& json);

}  // namespace lay::runner
