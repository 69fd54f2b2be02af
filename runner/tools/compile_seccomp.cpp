// Run while lay is built: compiles the built-in seccomp profile, so that starting a container parses and
// compiles nothing. Writes two programs into the folder it is given, as lines of a C++ initialiser for
// sock_filter arrays:
//   seccomp_calls.inc      which system calls there are at all
//   seccomp_arguments.inc  which arguments the calls that are there may not have
// Two, because libseccomp gives no order to rules of one call whose conditions overlap; the kernel runs both
// and takes the stricter answer.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "seccomp_names.h"

namespace {

using lay::runner::kAllowedSyscalls;
using lay::runner::kNewSyscalls;

/// libseccomp's contexts; seccomp_release(3) frees one.
using Filter = std::unique_ptr<void, decltype(&::seccomp_release)>;

constexpr int kEndOfNumbers = 1024;  // above every number of either architecture
constexpr scmp_datum_t kLow32 =
    0xffffffff;  // the kernel looks at 32 bits of an int argument, so must the filter

void check(int result, const std::string& what) {
  if (result < 0) throw std::runtime_error(what + ": error " + std::to_string(-result));
}

constexpr std::array<unsigned, 7> kNamespaceFlags{CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                                                  CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET};

/// The second architecture whose programs this kernel runs too.
constexpr std::uint32_t kCompatArch =
#if defined(__x86_64__)
    SCMP_ARCH_X86;
#elif defined(__aarch64__)
    SCMP_ARCH_ARM;
#else
#error "the system calls of this architecture have not been looked at"
#endif

Filter make_filter(std::uint32_t default_action, std::uint32_t arch, std::uint32_t other_arch_action) {
  Filter filter(::seccomp_init(default_action), &::seccomp_release);
  if (!filter) throw std::runtime_error("seccomp_init failed");
  if (arch != ::seccomp_arch_native()) {
    check(::seccomp_arch_remove(filter.get(), SCMP_ARCH_NATIVE), "remove the native architecture");
    check(::seccomp_arch_add(filter.get(), arch), "add an architecture");
  }
  check(::seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, other_arch_action),
        "set the other architectures");
  check(::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2), "ask for a binary tree");
  return filter;
}

bool is_allowed(const std::string& name) {
  return std::binary_search(kAllowedSyscalls.begin(), kAllowedSyscalls.end(), name);
}

void add_rule(const Filter& filter, std::uint32_t action, int number, const std::string& name,
              const std::vector<scmp_arg_cmp>& arguments = {}) {
  check(::seccomp_rule_add_array(filter.get(), action, number, static_cast<unsigned>(arguments.size()),
                                 arguments.data()),
        "rule for " + name);
}

/// Every call that has a name gets its answer: allowed, or EPERM. Numbers without a name are answered ENOSYS
/// by default, so that programs fall back as they do on an older kernel; clone3 and odd personalities are
/// treated alike.
void add_named_calls(const Filter& filter, std::uint32_t arch) {
  for (int number = 0; number < kEndOfNumbers; ++number) {
    const std::unique_ptr<char, decltype(&std::free)> found(::seccomp_syscall_resolve_num_arch(arch, number),
                                                            &std::free);
    if (!found) continue;
    const std::string name = found.get();
    if (name == "clone3" || name == "personality") continue;
    // Rules are given in the native numbering, for calls of the other architecture alone in libseccomp's own.
    add_rule(filter, is_allowed(name) ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM),
             ::seccomp_syscall_resolve_name(name.c_str()), name);
  }
}

/// Only natively: libseccomp cannot translate a number it has no name for. Programs of the other architecture
/// get ENOSYS.
void add_new_calls(const Filter& filter) {
  for (const auto& [name, number] : kNewSyscalls) {
    const std::unique_ptr<char, decltype(&std::free)> known(
        ::seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number), &std::free);
    if (known) continue;
    const std::string text(name);
    add_rule(filter, is_allowed(text) ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM), number, text);
  }
}

/// The execution domains of ordinary programs: PER_LINUX, PER_LINUX32, both with UNAME26, and the query.
void add_personality(const Filter& filter) {
  for (const scmp_datum_t value : {0x0U, 0x8U, 0x20000U, 0x20008U, 0xffffffffU})
    add_rule(filter, SCMP_ACT_ALLOW, SCMP_SYS(personality), "personality",
             {SCMP_A0_64(SCMP_CMP_MASKED_EQ, kLow32, value)});
}

Filter compile_calls() {
  constexpr std::uint32_t kUnknown = SCMP_ACT_ERRNO(ENOSYS);
  Filter native = make_filter(kUnknown, ::seccomp_arch_native(), kUnknown);
  Filter compat = make_filter(kUnknown, kCompatArch, kUnknown);
  add_named_calls(native, ::seccomp_arch_native());
  add_new_calls(native);
  add_named_calls(compat, kCompatArch);
  add_personality(native);
  add_personality(compat);
  check(::seccomp_merge(native.get(), compat.release()), "merge the architectures");
  return native;
}

void forbid_arguments(const Filter& filter) {
  constexpr std::uint32_t kDenied = SCMP_ACT_ERRNO(EPERM);
  // A new namespace of any kind; the bits of unshare(2), which is not there at all.
  for (const unsigned flag : kNamespaceFlags)
    add_rule(filter, kDenied, SCMP_SYS(clone), "clone", {SCMP_A0_64(SCMP_CMP_MASKED_EQ, flag, flag)});
  // The kernel's crypto interface and the hypervisor's: neither is namespaced.
  for (const unsigned family : {unsigned{AF_ALG}, unsigned{AF_VSOCK}})
    add_rule(filter, kDenied, SCMP_SYS(socket), "socket", {SCMP_A0_64(SCMP_CMP_MASKED_EQ, kLow32, family)});
  // The answer of a kernel without auditing: programs that log in users carry on, where EPERM stops them.
  add_rule(filter, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(socket), "socket",
           {SCMP_A0_64(SCMP_CMP_MASKED_EQ, kLow32, AF_NETLINK),
            SCMP_A2_64(SCMP_CMP_MASKED_EQ, kLow32, NETLINK_AUDIT)});
  // Both put text into a terminal's input as if it had been typed: on the host, once the container has ended.
  for (const unsigned request : {unsigned{TIOCSTI}, unsigned{TIOCLINUX}})
    add_rule(filter, kDenied, SCMP_SYS(ioctl), "ioctl", {SCMP_A1_64(SCMP_CMP_MASKED_EQ, kLow32, request)});
}

Filter compile_arguments() {
  Filter native = make_filter(SCMP_ACT_ALLOW, ::seccomp_arch_native(), SCMP_ACT_ALLOW);
  Filter compat = make_filter(SCMP_ACT_ALLOW, kCompatArch, SCMP_ACT_ALLOW);
  forbid_arguments(native);
  forbid_arguments(compat);
#ifdef __x86_64__
  // socketcall(SYS_SOCKET) has the family in memory, where a filter cannot look. 32-bit
  // programs have socket(2) too.
  add_rule(compat, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socketcall), "socketcall",
           {SCMP_A0_64(SCMP_CMP_MASKED_EQ, kLow32, 1)});
#endif
  check(::seccomp_merge(native.get(), compat.release()), "merge the architectures");
  return native;
}

void write_program(const Filter& filter, const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), &std::fclose);
  if (!file) throw std::runtime_error("cannot make a temporary file");
  check(::seccomp_export_bpf(filter.get(), ::fileno(file.get())), "export the program");
  std::rewind(file.get());
  std::ofstream out(path);
  sock_filter instruction{};
  while (std::fread(&instruction, sizeof instruction, 1, file.get()) == 1)
    out << "{" << instruction.code << ", " << unsigned{instruction.jt} << ", " << unsigned{instruction.jf}
        << ", " << instruction.k << "},\n";
  out.close();
  if (!out) throw std::runtime_error("cannot write " + path);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 2) throw std::runtime_error("usage: compile_seccomp FOLDER");
    const std::string folder = argv[1];
    write_program(compile_calls(), folder + "/seccomp_calls.inc");
    write_program(compile_arguments(), folder + "/seccomp_arguments.inc");
    return EXIT_SUCCESS;
  } catch (const std::exception& error) {
    std::cerr << "compile_seccomp: " << error.what() << "\n";
    return EXIT_FAILURE;
  }
}
