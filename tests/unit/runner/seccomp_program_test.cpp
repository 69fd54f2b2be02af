#include "security/seccomp_program.h"

#include <fmt/format.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>

#include "security/capabilities.h"

using namespace lay::runner;

namespace {

/// What the kernel would answer: the program run over `data` by a machine that knows the instructions which
/// the assembler writes. Documentation/networking/filter.rst. It shows the rules of architectures that this
/// machine cannot run.
std::uint32_t run(std::span<const sock_filter> program, const seccomp_data& data) {
  std::uint32_t accumulator = 0;
  for (std::size_t at = 0; at < program.size(); ++at) {
    const sock_filter& step = program[at];
    const auto jump = [&](bool taken) { at += taken ? step.jt : step.jf; };
    switch (step.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        std::memcpy(&accumulator, reinterpret_cast<const char*>(&data) + step.k, sizeof accumulator);
        break;
      case BPF_JMP | BPF_JA:
        at += step.k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        jump(accumulator == step.k);
        break;
      case BPF_JMP | BPF_JSET | BPF_K:
        jump((accumulator & step.k) != 0);
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        jump(accumulator >= step.k);
        break;
      case BPF_RET | BPF_K:
        return step.k;
      default:
        throw std::logic_error("unexpected instruction");
    }
  }
  throw std::logic_error("the program does not end");
}

constexpr int kAllowed = 0;

using Arguments = std::array<std::uint64_t, 3>;

std::uint64_t bit(int capability) {
  return std::uint64_t{1} << static_cast<unsigned>(capability);
}

const std::uint64_t kDefaults = capability_mask(default_capabilities().bounding);

/// The errno of a call, 0 when it is allowed; the profile answers nothing but these two.
int answer_of(std::span<const sock_filter> program, std::uint32_t arch, int number,
              Arguments arguments = {}) {
  seccomp_data data{};
  data.nr = number;
  data.arch = arch;
  std::copy(arguments.begin(), arguments.end(), std::begin(data.args));
  const std::uint32_t action = run(program, data);
  if (action == SECCOMP_RET_ALLOW) return kAllowed;
  REQUIRE((action & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO);
  return static_cast<int>(action & SECCOMP_RET_DATA);
}

int answer(std::uint32_t arch, int number, Arguments arguments = {}, std::uint64_t capabilities = kDefaults) {
  return answer_of(assemble_builtin_profile(capabilities), arch, number, arguments);
}

}  // namespace

#ifdef __x86_64__
TEST_CASE("programs of 32 bits live under the same rules", "[runner][seccomp]") {
  const auto i386 = [](int number, Arguments arguments = {}) {
    return answer(AUDIT_ARCH_I386, number, arguments);
  };
  CHECK(i386(20) == kAllowed);                 // getpid
  CHECK(i386(192) == kAllowed);                // mmap2
  CHECK(i386(403) == kAllowed);                // clock_gettime64
  CHECK(i386(21) == EPERM);                    // mount
  CHECK(i386(22) == EPERM);                    // umount
  CHECK(i386(288) == EPERM);                   // keyctl
  CHECK(i386(310) == EPERM);                   // unshare
  CHECK(i386(25) == EPERM);                    // stime
  CHECK(i386(166) == EPERM);                   // vm86
  CHECK(i386(404) == EPERM);                   // clock_settime64
  CHECK(i386(435) == ENOSYS);                  // clone3
  CHECK(i386(999) == ENOSYS);                  // nothing yet
  CHECK(i386(120, {SIGCHLD}) == kAllowed);     // clone
  CHECK(i386(120, {CLONE_NEWUSER}) == EPERM);  // clone
  CHECK(i386(359, {AF_UNIX}) == kAllowed);     // socket
  CHECK(i386(359, {AF_ALG}) == EPERM);         // socket
  CHECK(i386(102, {1}) == EPERM);              // socketcall(SYS_SOCKET): family out of sight
  CHECK(i386(102, {3}) == kAllowed);           // socketcall(SYS_CONNECT)
  CHECK(i386(54, {0, 0x5412}) == EPERM);       // ioctl(TIOCSTI)
  CHECK(i386(54, {0, 0x5413}) == kAllowed);    // ioctl(TIOCGWINSZ)
  CHECK(i386(136, {0x40000}) == ENOSYS);       // personality(ADDR_NO_RANDOMIZE)
  CHECK(i386(136, {0xffffffff}) == kAllowed);  // personality(query)
}

TEST_CASE("the third way to number calls of x86-64 does not exist", "[runner][seccomp]") {
  constexpr int kX32 = 0x40000000;
  for (const int number : {0, 39, 165, 512, 547}) CHECK(answer(AUDIT_ARCH_X86_64, kX32 | number) == ENOSYS);
}

TEST_CASE("calls newer than libseccomp have their answers by number", "[runner][seccomp]") {
  for (const int allowed : {335, 336, 457, 458, 462, 463, 464, 465, 466})
    CHECK(answer(AUDIT_ARCH_X86_64, allowed) == kAllowed);
  for (const int denied : {459, 460, 461, 467, 468, 469}) CHECK(answer(AUDIT_ARCH_X86_64, denied) == EPERM);
  CHECK(answer(AUDIT_ARCH_X86_64, 470) == ENOSYS);
}
#endif

TEST_CASE("a program of an architecture that was not looked at can call nothing", "[runner][seccomp]") {
  for (const int number : {0, 1, 20, 64}) CHECK(answer(AUDIT_ARCH_RISCV64, number) == ENOSYS);
}

#ifdef __x86_64__
namespace {

/// A call as it is pinned: without arguments (all zero), under the default capabilities, and which further
/// ones open it.
struct Pinned {
  const char* name;
  int number;
  const char* answer;
  const char* opened_by;
};

constexpr auto kGoldenNative = std::to_array<Pinned>({
#include "seccomp_golden_x86_64.inc"
});
constexpr auto kGoldenCompat = std::to_array<Pinned>({
#include "seccomp_golden_i386.inc"
});

std::string name_of_errno(int number) {
  return number == kAllowed ? "ok" : ::strerrorname_np(number);
}

/// The golden line of one call as it is now.
std::string describe(std::uint32_t arch, const char* name, int number) {
  std::string opened;
  const int by_default = answer(arch, number);
  for (int capability = 0; capability <= CAP_LAST_CAP; ++capability)
    if (by_default != kAllowed && answer(arch, number, {}, kDefaults | bit(capability)) == kAllowed)
      opened += (opened.empty() ? "" : " ") + capability_name(capability).substr(4);
  return fmt::format("{{\"{}\", {}, \"{}\", \"{}\"}},\n", name, number, name_of_errno(by_default), opened);
}

template <std::size_t Count>
void check_golden(std::uint32_t arch, const std::array<Pinned, Count>& golden) {
  std::string expected;
  std::string found;
  for (const Pinned& call : golden) {
    expected +=
        fmt::format("{{\"{}\", {}, \"{}\", \"{}\"}},\n", call.name, call.number, call.answer, call.opened_by);
    found += describe(arch, call.name, call.number);
  }
  CHECK(found == expected);
}

}  // namespace

TEST_CASE("K04: the answer to every system call is pinned", "[runner][seccomp]") {
  check_golden(AUDIT_ARCH_X86_64, kGoldenNative);
  check_golden(AUDIT_ARCH_I386, kGoldenCompat);
}

TEST_CASE("a capability that was dropped closes its calls", "[runner][seccomp]") {
  constexpr int kChroot = 161;
  CHECK(answer(AUDIT_ARCH_X86_64, kChroot) == kAllowed);
  CHECK(answer(AUDIT_ARCH_X86_64, kChroot, {}, kDefaults & ~bit(CAP_SYS_CHROOT)) == EPERM);
  CHECK(answer(AUDIT_ARCH_X86_64, 39 /* getpid */, {}, 0) == kAllowed);
}

TEST_CASE("new namespaces take CAP_SYS_ADMIN, messages to the audit log CAP_AUDIT_WRITE",
          "[runner][seccomp]") {
  constexpr int kClone = 56;
  constexpr int kSocket = 41;
  CHECK(answer(AUDIT_ARCH_X86_64, kClone, {CLONE_NEWUSER}) == EPERM);
  CHECK(answer(AUDIT_ARCH_X86_64, kClone, {CLONE_NEWUSER}, bit(CAP_SYS_ADMIN)) == kAllowed);
  CHECK(answer(AUDIT_ARCH_X86_64, kSocket, {AF_NETLINK, 0, NETLINK_AUDIT}) == EINVAL);
  CHECK(answer(AUDIT_ARCH_X86_64, kSocket, {AF_NETLINK, 0, NETLINK_AUDIT}, bit(CAP_AUDIT_WRITE)) == kAllowed);
  CHECK(answer(AUDIT_ARCH_X86_64, kSocket, {AF_ALG}, ~std::uint64_t{0}) == EPERM);
}

TEST_CASE("whatever the capabilities, the program is small and answers every number", "[runner][seccomp]") {
  for (const std::uint64_t capabilities : {std::uint64_t{0}, kDefaults, ~std::uint64_t{0}}) {
    const std::vector<sock_filter> program = assemble_builtin_profile(capabilities);
    CHECK(program.size() < 700);  // the kernel compiles it at each start
    for (int number = 0; number < 1100; ++number)
      for (const unsigned arch : {unsigned{AUDIT_ARCH_X86_64}, unsigned{AUDIT_ARCH_I386}})
        CHECK_NOTHROW(answer_of(program, arch, number));
  }
}
#endif
