#include "security/seccomp_program.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstring>
#include <stdexcept>

using namespace lay::runner;

namespace {

/// What the kernel would answer: the program run over `data` by a machine that knows the instructions which
/// libseccomp makes. Documentation/networking/filter.rst. It shows the rules of architectures that this
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
      case BPF_ALU | BPF_AND | BPF_K:
        accumulator &= step.k;
        break;
      case BPF_JMP | BPF_JA:
        at += step.k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        jump(accumulator == step.k);
        break;
      case BPF_JMP | BPF_JGT | BPF_K:
        jump(accumulator > step.k);
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

/// The errno of a call under both programs, 0 when it is allowed; each program answers nothing but these two.
int answer(std::uint32_t arch, int number, std::array<std::uint64_t, 2> arguments = {}) {
  seccomp_data data{};
  data.nr = number;
  data.arch = arch;
  std::copy(arguments.begin(), arguments.end(), std::begin(data.args));
  int strictest = kAllowed;
  for (const auto program : {builtin_arguments_program(), builtin_calls_program()}) {
    const std::uint32_t action = run(program, data);
    if (action == SECCOMP_RET_ALLOW) continue;
    REQUIRE((action & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO);
    strictest = static_cast<int>(action & SECCOMP_RET_DATA);
  }
  return strictest;
}

}  // namespace

#ifdef __x86_64__
TEST_CASE("programs of 32 bits live under the same rules", "[runner][seccomp]") {
  const auto i386 = [](int number, std::array<std::uint64_t, 2> arguments = {}) {
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
