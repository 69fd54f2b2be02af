#include "process/process_steps.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <optional>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "cgroup/cgroup.h"
#include "process/birth.h"
#include "process/command.h"
#include "process/pty.h"
#include "process/reaper.h"
#include "process/scheduling.h"
#include "security/capabilities.h"
#include "security/user_lookup.h"

namespace lay::runner {

namespace {

/// getrlimit(2). The numbers are those of asm-generic/resource.h.
constexpr std::array<std::pair<std::string_view, int>, 16> kLimits{{
    {"RLIMIT_CPU", RLIMIT_CPU},
    {"RLIMIT_FSIZE", RLIMIT_FSIZE},
    {"RLIMIT_DATA", RLIMIT_DATA},
    {"RLIMIT_STACK", RLIMIT_STACK},
    {"RLIMIT_CORE", RLIMIT_CORE},
    {"RLIMIT_RSS", RLIMIT_RSS},
    {"RLIMIT_NPROC", RLIMIT_NPROC},
    {"RLIMIT_NOFILE", RLIMIT_NOFILE},
    {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
    {"RLIMIT_AS", RLIMIT_AS},
    {"RLIMIT_LOCKS", RLIMIT_LOCKS},
    {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
    {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
    {"RLIMIT_NICE", RLIMIT_NICE},
    {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
    {"RLIMIT_RTTIME", RLIMIT_RTTIME},
}};

int limit_number(const std::string& type) {
  for (const auto& [name, number] : kLimits)
    if (name == type) return number;
  throw Error::make(Errc::invalid, "'{}' is not a resource limit", type);
}

void set_process_option(int option, unsigned long value, const char* what) {
  if (::prctl(option, value, 0, 0, 0) < 0) throw Error::from_errno("{}", what);
}

void die_with_supervisor() {
  set_process_option(PR_SET_PDEATHSIG, SIGKILL, "ask to die with the supervisor");
}

void reset_signals() {
  for (int number = 1; number < NSIG; ++number)
    std::signal(number, SIG_DFL);  // fails for KILL and STOP: fine
  ::sigset_t none;
  ::sigemptyset(&none);
  if (::sigprocmask(SIG_SETMASK, &none, nullptr) < 0) throw Error::from_errno("unblock signals");
}

void make_folder_of(const UniqueFd& dir, const std::string& part, const std::string& whole) {
  try {
    sys::mkdir_at(dir, part, 0755);
  } catch (const Error& error) {
    if (error.error_number() != EEXIST) throw;
    throw Error::make(Errc::invalid,
                      "the working folder '{}' is not there: '{}' in the container is no folder",
                      printable(whole), printable(part))
        .with_hint("-w with the path of a folder");
  }
}

/// Of a folder that is not there, with whatever of its parents is missing.
UniqueFd make_working_folder(const UniqueFd& root, const std::string& cwd) {
  UniqueFd dir = sys::dup_fd(root);
  std::string done;
  for (const std::string& part : split(cwd, '/')) {
    if (part.empty()) continue;
    done += "/" + part;
    if (!sys::try_open_in_root(root, done, O_PATH | O_DIRECTORY)) make_folder_of(dir, part, cwd);
    dir = sys::open_in_root(root, done, O_PATH | O_DIRECTORY);
  }
  return dir;
}

/// Resolved without magic links, so that neither a forgotten descriptor nor /proc leads out of the container.
void enter_working_folder(const std::string& cwd, MissingFolder missing) {
  if (!cwd.starts_with('/'))
    throw Error::make(Errc::invalid, "the working folder '{}' is not an absolute path", cwd);
  const UniqueFd root = sys::open_at(sys::cwd(), "/", O_PATH | O_DIRECTORY);
  auto dir = sys::try_open_in_root(root, cwd, O_PATH | O_DIRECTORY);
  if (!dir && missing == MissingFolder::refused)
    throw Error::from_errno("enter the working folder '{}'", printable(cwd));
  if (!dir) dir = make_working_folder(root, cwd);
  if (::fchdir(dir->get()) < 0) throw Error::from_errno("enter the working folder '{}'", printable(cwd));
}

/// So that a program of another user can open /dev/stdout and its terminal anew. /dev/null stays as it is.
/// A caller's own may belong to somebody who is not in the container's user namespace, and then stay his:
/// the command can use them all the same, as long as it does not open them anew.
void give_stdio_to(std::uint32_t uid, const BecomeOptions& options) {
  for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    struct ::stat info {};
    if (::fstat(number, &info) < 0) throw Error::from_errno("stat descriptor {}", number);
    const bool is_ours = S_ISFIFO(info.st_mode) || ::isatty(number) == 1;
    if (!is_ours || info.st_uid == uid || ::fchown(number, uid, info.st_gid) == 0) continue;
    if (!options.has_callers_stdio || (errno != EPERM && errno != EINVAL && errno != EROFS))
      throw Error::from_errno("give descriptor {} to user {}", number, uid);
  }
}

void set_user(const Account& account) {
  if (::setgroups(account.groups.size(), account.groups.data()) < 0)
    throw Error::from_errno("set {} supplementary groups", account.groups.size());
  if (::setresgid(account.gid, account.gid, account.gid) < 0)
    throw Error::from_errno("set group {}", account.gid);
  if (::setresuid(account.uid, account.uid, account.uid) < 0)
    throw Error::from_errno("set user {}", account.uid);
}

std::string describe(const std::vector<IdMapping>& maps) {
  std::vector<std::string> ranges;
  for (const IdMapping& map : maps)
    ranges.push_back(fmt::format("{}-{}", map.container_id, map.container_id + (map.size - 1)));
  return join(ranges, ", ");
}

void require_mapped(const char* kind, std::uint32_t id, const std::vector<IdMapping>& maps) {
  if (host_id(maps, id)) return;
  throw Error::make(Errc::invalid, "{0} {1}: the container's user namespace has no such {0}", kind, id)
      .with_hint(
          fmt::format("it has {}; a map with more is given when the container is made: --userns auto:size=N",
                      describe(maps)));
}

void require_mapped(const Account& account, const IdMaps& ids) {
  require_mapped("user", account.uid, ids.uids);
  require_mapped("group", account.gid, ids.gids);
  for (const std::uint32_t group : account.groups) require_mapped("group", group, ids.gids);
}

/// What uname(2) tells, and how addresses are laid out.
void set_personality(std::optional<PersonalityDomain> domain) {
  if (!domain) return;
  const unsigned long persona = *domain == PersonalityDomain::linux32 ? PER_LINUX32 : PER_LINUX;
  if (::personality(persona) < 0) throw Error::from_errno("set the personality {}", persona);
}

std::string shown(std::uint64_t limit) {
  return limit == RLIM_INFINITY ? "unlimited" : std::to_string(limit);
}

/// What may keep lay from raising it: a right, and of open files the machine's own limit.
Error no_rlimit(const Rlimit& limit) {
  Error error = Error::from_errno("set {} to {}:{}", limit.type, shown(limit.soft), shown(limit.hard));
  if (error.code() != Errc::denied) return error;
  ::rlimit own{};
  if (::getrlimit(static_cast<__rlimit_resource>(limit_number(limit.type)), &own) != 0) return error;
  std::string hint =
      fmt::format("here it may be {} at most; more takes CAP_SYS_RESOURCE", shown(own.rlim_max));
  if (limit.type == "RLIMIT_NOFILE") hint += ", and never more than /proc/sys/fs/nr_open says";
  return error.with_hint(std::move(hint));
}

void set_rlimit(const Rlimit& limit) {
  const ::rlimit value{.rlim_cur = limit.soft, .rlim_max = limit.hard};
  if (::setrlimit(static_cast<__rlimit_resource>(limit_number(limit.type)), &value) != 0)
    throw no_rlimit(limit);
}

bool is_of_processes(const Rlimit& limit) {
  return limit.type == "RLIMIT_NPROC";
}

/// What it is before it can be lowered without a right to: at least as high as it will be.
void open_process_limit(const Rlimit& limit) {
  ::rlimit value{};
  if (::getrlimit(RLIMIT_NPROC, &value) != 0) throw Error::from_errno("read {}", limit.type);
  const std::uint64_t most = std::max<std::uint64_t>(value.rlim_max, limit.hard);
  set_rlimit({.type = limit.type, .hard = most, .soft = most});
}

void set_rlimits(const std::vector<Rlimit>& limits, const BecomeOptions& options) {
  for (const Rlimit& limit : limits)
    options.limits_processes_last&& is_of_processes(limit) ? open_process_limit(limit) : set_rlimit(limit);
}

UniqueFd open_landlock(const Confinement& confinement) {
  return confinement.landlock ? make_landlock_ruleset(*confinement.landlock) : UniqueFd();
}

/// The filter comes last: it may forbid what landlock takes.
void lock_in(const Confinement& confinement, const UniqueFd& landlock,
             std::optional<SeccompHandover>& handover) {
  set_exec_label(confinement.label);
  if (landlock) enter_landlock(landlock);
  if (handover)
    handover->load(confinement.seccomp);
  else
    load_seccomp(confinement.seccomp);
}

void go_on_inside(const Process& process, const ChildEnd& parent, const BecomeOptions& options,
                  const SeccompFilter& filter) {
  be_born(*options.birth);
  if (options.last_groups != nullptr) {
    enter_cgroups(*options.last_groups);
    options.last_groups->clear();
  }
  if (may_begin_session(filter)) begin_session();
  if (options.has_terminal && may_take_terminal(filter)) make_controlling_terminal();
  if (options.supervision == Supervision::by_parent && may_die_with_parent(filter))
    stay_with_supervisor(parent);
  if (options.limits_processes_last)
    for (const Rlimit& limit : process.rlimits)
      if (is_of_processes(limit)) set_rlimit(limit);
}

}  // namespace

void begin_session() {
  if (::setsid() < 0) throw Error::from_errno("begin a session");
}

void shut_others_out() {
  set_process_option(PR_SET_DUMPABLE, 0, "shut others out of the container's process");
}

void leave_caller() {
  shut_others_out();
  die_with_supervisor();
  reset_signals();
  begin_session();
}

void enter_finished(const ChildEnd& parent) {
  const auto entrances = parent.take_over();
  if (!entrances) ::_exit(1);
  enter_cgroups(*entrances);
}

void join_session_keyring(const std::string& container_id) {
  const std::string name = "lay:" + container_id;
  const long keyring = ::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name.c_str());
  if (keyring < 0 && errno == ENOSYS) return;
  if (keyring < 0) throw Error::from_errno("make a session keyring");
  // KEY_POS_ALL, and for its user view, read, link as by default, and search: a later exec finds it by name.
  constexpr unsigned kPermissions = 0x3f1b0000;
  if (::syscall(SYS_keyctl, KEYCTL_SETPERM, keyring, kPermissions) < 0 && errno != EACCES)
    throw Error::from_errno("set the permissions of the session keyring");
}

void set_domainname(const Spec& spec) {
  if (!has_own_namespace(spec, NamespaceType::uts) || spec.domainname.empty()) return;
  if (::setdomainname(spec.domainname.data(), spec.domainname.size()) < 0)
    throw Error::from_errno("set the domain name '{}'", printable(spec.domainname));
}

void check_rlimit(const Rlimit& limit) {
  limit_number(limit.type);
  if (limit.soft > limit.hard)
    throw Error::make(Errc::invalid, "{}: the soft limit {} is above the hard one {}", limit.type, limit.soft,
                      limit.hard);
}

void raise_hard_limits(pid_t pid, const std::vector<Rlimit>& limits) {
  for (const Rlimit& limit : limits) {
    const auto number = static_cast<__rlimit_resource>(limit_number(limit.type));
    ::rlimit value{};
    if (::prlimit(pid, number, nullptr, &value) != 0) throw Error::from_errno("read {}", limit.type);
    if (value.rlim_max >= limit.hard) continue;
    value.rlim_max = limit.hard;
    if (::prlimit(pid, number, &value, nullptr) != 0) throw no_rlimit(limit);
  }
}

void stay_with_supervisor(const ChildEnd& parent) {
  die_with_supervisor();
  parent.check_parent();
}

void outlive_supervisor() {
  set_process_option(PR_SET_PDEATHSIG, 0, "ask to outlive the supervisor");
}

void become(const Process& process, const Confinement& confinement, const ChildEnd& parent,
            const BecomeOptions& options) {
  const Account account = look_up_user(process.user);  // with all rights: the files may be private
  if (options.ids) require_mapped(account, *options.ids);
  std::vector<std::string> env = process.env;
  add_default(env, "HOME", account.home);
  std::optional<InitProgram> init;
  if (process.has_init) {
    init = make_init_program();
    adopt_orphans();
  }
  std::optional<SeccompHandover> handover;
  if (confinement.listener) handover.emplace(*confinement.listener);
  if (!options.is_scheduled) apply_scheduling(0, process);  // takes rights of the host's root
  set_personality(confinement.personality);
  ::umask(process.user.umask.value_or(022));  // before the folder is made
  enter_working_folder(process.cwd, options.missing_folder);
  give_stdio_to(account.uid, options);

  const UniqueFd landlock = open_landlock(confinement);  // while every path can be reached
  set_rlimits(process.rlimits, options);     // while that is a right, and when lay needs no file any more
  limit_bounding_set(process.capabilities);  // takes CAP_SETPCAP
  // Without no_new_privs both take CAP_SYS_ADMIN, so they are entered while that is
  // there; they let the rest pass.
  if (!process.no_new_privileges) lock_in(confinement, landlock, handover);
  set_user(account);
  apply_capabilities(process.capabilities);  // after the last call that needs another one
  if (options.supervision == Supervision::by_parent)
    stay_with_supervisor(parent);  // a change of user forgets it
  if (process.no_new_privileges) {
    set_process_option(PR_SET_NO_NEW_PRIVS, 1, "give up new privileges");
    lock_in(confinement, landlock, handover);
  }
  // Now, and not by execve(2): whoever looks into this process, and "/proc/self/fd/9" as command, would still
  // find what lay was given.
  std::vector<int> kept = init ? init->descriptors() : std::vector<int>();
  if (options.birth != nullptr) kept.push_back(options.birth->get());
  if (options.last_groups != nullptr)
    for (const UniqueFd& tasks : *options.last_groups) kept.push_back(tasks.get());
  parent.close_others(options.preserved_fds, kept);
  if (options.birth != nullptr) go_on_inside(process, parent, options, confinement.seccomp);
  if (init) leave_reaper_behind(std::move(*init), parent);
  execute_command(process.args, env);
}

}  // namespace lay::runner
