#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstring>

#include "in_child.h"
#include "runner/isolation.h"
#include "security/capabilities.h"
#include "security/seccomp.h"
#include "skip.h"

using namespace lay;
using lay::test::ChildResult;
using lay::test::in_child;

namespace {

/// Any number: -1 as an argument is no address, no descriptor and no flag, so a call that is allowed fails
/// with its own errno, and one that the filter answers with the filter's.
constexpr long kBad = -1;

struct Probe {
  const char* name;
  long number;
  std::array<long, 4> arguments;
  int expected;  ///< errno; 0 for success
};

void load(runner::SeccompProfile profile, const runner::Capabilities& capabilities) {
  runner::Linux linux_part;
  linux_part.seccomp = profile;
  runner::load_seccomp(runner::prepare_seccomp(linux_part, capabilities));
}

/// Runs `body` under the built-in profile for the default capabilities, and those of `add`, as root with all
/// capabilities, so that what is denied, the filter denied.
ChildResult under_profile(const std::function<std::string()>& body,
                          const std::vector<std::string>& add = {}) {
  return in_child(0, [&] {
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return std::string("no_new_privs failed");
    load(runner::SeccompProfile::builtin, runner::choose_capabilities(add, {}));
    return body();
  });
}

int error_of_call(long result) {
  return result < 0 ? errno : 0;
}

std::string name_of(int error_number) {
  return error_number == 0 ? "ok" : ::strerrorname_np(error_number);
}

template <std::size_t Count>
void check_table(const std::array<Probe, Count>& table, const std::vector<std::string>& add = {}) {
  std::string expected;
  for (const Probe& probe : table) expected += fmt::format("{} {}\n", probe.name, name_of(probe.expected));
  const ChildResult result = under_profile(
      [&] {
        std::string text;
        for (const Probe& probe : table) {
          const long called = ::syscall(probe.number, probe.arguments[0], probe.arguments[1],
                                        probe.arguments[2], probe.arguments[3]);
          text += fmt::format("{} {}\n", probe.name, name_of(error_of_call(called)));
        }
        return text;
      },
      add);
  CHECK(result.error == "");
  CHECK(result.text == expected);
}

#ifdef __x86_64__
/// A system call by the 32-bit entry; -errno or the result, as the kernel returns it.
long call_i386(long number, long first, long second) {
  long result = 0;
  asm volatile("int $0x80"
               : "=a"(result)
               : "a"(number), "b"(first), "c"(second), "d"(0L)
               : "memory", "r8", "r9", "r10", "r11");
  return static_cast<int>(result);
}
#endif

}  // namespace

TEST_CASE("K04: what a container must not do is answered with EPERM", "[runner][seccomp]") {
  check_table(std::to_array<Probe>({
      {"mount", SYS_mount, {kBad, kBad, kBad}, EPERM},
      {"umount2", SYS_umount2, {kBad, kBad}, EPERM},
      {"pivot_root", SYS_pivot_root, {kBad, kBad}, EPERM},
      {"move_mount", SYS_move_mount, {kBad, kBad, kBad}, EPERM},
      {"open_tree", SYS_open_tree, {kBad, kBad, kBad}, EPERM},
      {"fsopen", SYS_fsopen, {kBad}, EPERM},
      {"fsmount", SYS_fsmount, {kBad}, EPERM},
      {"mount_setattr", SYS_mount_setattr, {kBad}, EPERM},
      {"open_tree_attr", 467, {kBad}, EPERM},
      {"setns", SYS_setns, {kBad}, EPERM},
      {"unshare nothing", SYS_unshare, {0}, EPERM},
      {"unshare user", SYS_unshare, {CLONE_NEWUSER}, EPERM},
      {"open_by_handle_at", SYS_open_by_handle_at, {kBad, kBad}, EPERM},
      {"io_uring_setup", SYS_io_uring_setup, {kBad, kBad}, EPERM},
      {"io_uring_enter", SYS_io_uring_enter, {kBad}, EPERM},
      {"io_uring_register", SYS_io_uring_register, {kBad}, EPERM},
      {"userfaultfd", SYS_userfaultfd, {kBad}, EPERM},
      {"bpf", SYS_bpf, {kBad}, EPERM},
      {"perf_event_open", SYS_perf_event_open, {kBad}, EPERM},
      {"keyctl", SYS_keyctl, {kBad}, EPERM},
      {"add_key", SYS_add_key, {kBad}, EPERM},
      {"request_key", SYS_request_key, {kBad}, EPERM},
      {"kexec_load", SYS_kexec_load, {kBad}, EPERM},
      {"kexec_file_load", SYS_kexec_file_load, {kBad}, EPERM},
      {"init_module", SYS_init_module, {kBad}, EPERM},
      {"finit_module", SYS_finit_module, {kBad}, EPERM},
      {"delete_module", SYS_delete_module, {kBad}, EPERM},
      {"clock_settime", SYS_clock_settime, {kBad}, EPERM},
      {"settimeofday", SYS_settimeofday, {kBad, kBad}, EPERM},
      {"reboot", SYS_reboot, {kBad}, EPERM},
      {"swapon", SYS_swapon, {kBad}, EPERM},
      {"syslog", SYS_syslog, {kBad}, EPERM},
      {"acct", SYS_acct, {kBad}, EPERM},
      {"quotactl", SYS_quotactl, {kBad}, EPERM},
      {"sethostname", SYS_sethostname, {kBad, kBad}, EPERM},
      {"kcmp", SYS_kcmp, {kBad}, EPERM},
      {"pidfd_getfd", SYS_pidfd_getfd, {kBad}, EPERM},
      {"process_madvise", SYS_process_madvise, {kBad}, EPERM},
      {"fanotify_init", SYS_fanotify_init, {kBad}, EPERM},
      {"move_pages", SYS_move_pages, {kBad}, EPERM},
      {"mbind", SYS_mbind, {kBad}, EPERM},
      {"set_mempolicy", SYS_set_mempolicy, {kBad}, EPERM},
      {"lsm_set_self_attr", 460, {kBad}, EPERM},
      {"file_setattr", 469, {kBad}, EPERM},
  }));
}

TEST_CASE("K03: a capability opens the calls that take it", "[runner][seccomp]") {
  check_table(std::to_array<Probe>({
                  {"mount", SYS_mount, {kBad, kBad, kBad}, EFAULT},
                  {"umount2", SYS_umount2, {kBad, kBad}, EINVAL},
                  {"unshare nothing", SYS_unshare, {0}, 0},
                  {"setns", SYS_setns, {kBad}, EBADF},
                  {"clone3", SYS_clone3, {kBad, kBad}, E2BIG},
                  {"pivot_root", SYS_pivot_root, {kBad, kBad}, EPERM},
                  {"init_module", SYS_init_module, {kBad}, EPERM},
                  {"settimeofday", SYS_settimeofday, {kBad, kBad}, EPERM},
                  {"io_uring_setup", SYS_io_uring_setup, {kBad, kBad}, EPERM},
                  {"keyctl", SYS_keyctl, {kBad}, EPERM},
              }),
              {"SYS_ADMIN"});
  check_table(std::to_array<Probe>({
                  {"settimeofday", SYS_settimeofday, {kBad, kBad}, EFAULT},
                  {"kcmp", SYS_kcmp, {kBad}, ESRCH},
                  {"open_by_handle_at", SYS_open_by_handle_at, {kBad, kBad}, EFAULT},
                  {"mount", SYS_mount, {kBad, kBad, kBad}, EPERM},
                  {"unshare nothing", SYS_unshare, {0}, EPERM},
              }),
              {"SYS_TIME", "SYS_PTRACE", "DAC_READ_SEARCH"});
}

TEST_CASE("K03: what the filter does not know is answered with ENOSYS, as an older kernel would",
          "[runner][seccomp]") {
  check_table(std::to_array<Probe>({
      {"clone3", SYS_clone3, {kBad, kBad}, ENOSYS},
      {"gap 400", 400, {kBad}, ENOSYS},
      {"next 480", 480, {kBad}, ENOSYS},
      {"far 9999", 9999, {kBad}, ENOSYS},
#ifdef __x86_64__
      {"x32 getpid", 0x40000000L | SYS_getpid, {}, ENOSYS},
      {"x32 mount", 0x40000000L | SYS_mount, {kBad, kBad}, ENOSYS},
#endif
  }));
}

TEST_CASE("what ordinary programs need reaches the kernel", "[runner][seccomp]") {
  check_table(std::to_array<Probe>({
      {"getpid", SYS_getpid, {}, 0},
      {"chroot", SYS_chroot, {kBad}, EFAULT},
      {"mknodat", SYS_mknodat, {kBad, kBad}, EFAULT},
      {"listxattr", SYS_listxattr, {kBad}, EFAULT},
      {"fchmodat2", 452, {kBad, kBad}, EFAULT},
      {"statx", SYS_statx, {kBad, kBad, 0}, EFAULT},
      {"openat2", SYS_openat2, {kBad, kBad, kBad, 24}, EFAULT},
      {"ptrace", SYS_ptrace, {kBad, kBad}, ESRCH},
      {"landlock_create_ruleset", SYS_landlock_create_ruleset, {kBad, 8, 0}, EFAULT},
      {"inotify_init1", SYS_inotify_init1, {kBad}, EINVAL},
      {"mseal", 462, {1}, EINVAL},
      {"prctl", SYS_prctl, {kBad}, EINVAL},
      {"seccomp", SYS_seccomp, {kBad}, EINVAL},
      {"setgroups", SYS_setgroups, {0, 0}, 0},
      {"sched_setscheduler", SYS_sched_setscheduler, {kBad}, EINVAL},
  }));
}

TEST_CASE("K03: new namespaces are denied in clone, threads and processes are not", "[runner][seccomp]") {
  const ChildResult result = under_profile([] {
    std::string text;
    for (const int flag : {CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS,
                           CLONE_NEWCGROUP}) {
      const long pid = ::syscall(SYS_clone, flag | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
      if (pid == 0) ::_exit(0);
      text += name_of(error_of_call(pid)) + " ";
    }
    const long pid = ::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr);
    if (pid == 0) ::_exit(0);
    return text + name_of(error_of_call(pid));
  });
  CHECK(result.error == "");
  CHECK(result.text == "EPERM EPERM EPERM EPERM EPERM EPERM EPERM ok");
}

TEST_CASE("K04: socket families are judged by the 32 bits the kernel looks at", "[runner][seccomp]") {
  const ChildResult result = under_profile([] {
    std::string text;
    constexpr long kHighBit = 1L << 32;
    for (const long family :
         {long{AF_ALG}, AF_ALG | kHighBit, long{AF_VSOCK}, AF_VSOCK | kHighBit, long{AF_UNIX}, long{AF_INET}})
      text += name_of(error_of_call(::syscall(SYS_socket, family, SOCK_STREAM, 0))) + " ";
    text += name_of(error_of_call(::syscall(SYS_socket, AF_NETLINK, SOCK_RAW, NETLINK_AUDIT))) + " ";
    return text + name_of(error_of_call(::syscall(SYS_socket, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE)));
  });
  CHECK(result.error == "");
  CHECK(result.text == "EPERM EPERM EPERM EPERM ok ok EINVAL ok");
}

TEST_CASE("K01: nothing can be typed into a terminal, whatever the upper half of the request",
          "[runner][seccomp]") {
  const ChildResult result = under_profile([] {
    const UniqueFd master(::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
    char typed = 'x';
    std::string text;
    for (const unsigned long request :
         {0x5412UL /* TIOCSTI */, 0x5412UL | (1UL << 32), 0x541cUL /* TIOCLINUX */, 0x541cUL | (7UL << 40)})
      text += name_of(error_of_call(::syscall(SYS_ioctl, master.get(), request, &typed))) + " ";
    ::winsize size{};
    return text + name_of(error_of_call(::syscall(SYS_ioctl, master.get(), TIOCGWINSZ, &size)));
  });
  CHECK(result.error == "");
  CHECK(result.text == "EPERM EPERM EPERM EPERM ok");
}

TEST_CASE("only the personalities of ordinary programs can be had", "[runner][seccomp]") {
  const ChildResult result = under_profile([] {
    std::string text;
    for (const long value :
         {0xffffffffL, 0L, 8L, 0x20000L, 0x20008L, 0L, 0x0040000L /* ADDR_NO_RANDOMIZE */, 6L})
      text += name_of(error_of_call(::syscall(SYS_personality, value))) + " ";
    return text;
  });
  CHECK(result.error == "");
  CHECK(result.text == "ok ok ok ok ok ok ENOSYS ENOSYS ");
}

#ifdef __x86_64__
TEST_CASE("programs of 32 bits have the same rules", "[runner][seccomp]") {
  // clone(2) numbers of i386: asm/unistd_32.h
  const ChildResult probe = in_child(0, [] { return std::to_string(call_i386(20, 0, 0) == ::getpid()); });
  if (probe.text != "1") SKIP_TEST("this kernel runs no 32-bit programs");
  const ChildResult result = under_profile([] {
    std::string text;
    text += call_i386(20, 0, 0) == ::getpid() ? "getpid " : "no getpid ";
    for (const auto& [number, first, second] :
         std::to_array<std::array<long, 3>>({{21, -1, -1} /* mount */,
                                             {288, -1, -1} /* keyctl */,
                                             {310, CLONE_NEWUSER, 0} /* unshare */,
                                             {102, 1, 0} /* socketcall(SYS_SOCKET) */,
                                             {359, AF_ALG, SOCK_STREAM} /* socket */,
                                             {120, CLONE_NEWNS, 0} /* clone */,
                                             {435, -1, -1} /* clone3 */,
                                             {999, 0, 0}}))
      text += name_of(static_cast<int>(-call_i386(number, first, second))) + " ";
    return text + (call_i386(359, AF_UNIX, SOCK_STREAM) >= 0 ? "socket" : "no socket");
  });
  CHECK(result.error == "");
  CHECK(result.text == "getpid EPERM EPERM EPERM EPERM EPERM EPERM ENOSYS ENOSYS socket");
}
#endif

TEST_CASE("an unconfined container has no filter, a confined one has one", "[runner][seccomp]") {
  const auto count_filters = [](runner::SeccompProfile profile) {
    return in_child(0, [profile] {
      if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return std::string("no_new_privs failed");
      load(profile, runner::default_capabilities());
      const std::string status =
          sys::read_all(sys::open_at(sys::cwd(), "/proc/self/status", O_RDONLY), 65536);
      const std::size_t at = status.find("Seccomp_filters:\t");
      return status.substr(at + 17, status.find('\n', at) - at - 17);
    });
  };
  CHECK(count_filters(runner::SeccompProfile::unconfined).text == "0");
  CHECK(count_filters(runner::SeccompProfile::builtin).text == "1");
}

TEST_CASE("a filter that may not be loaded is an error", "[runner][seccomp]") {
  const ChildResult result = in_child(0, [] {
    if (::setresuid(1000, 1000, 1000) < 0) return std::string("setuid failed");
    load(runner::SeccompProfile::builtin, runner::default_capabilities());
    return std::string("loaded");
  });
  CHECK(result.error == "load the seccomp profile: Permission denied");
}
