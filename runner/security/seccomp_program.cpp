#include "security/seccomp_program.h"

#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <initializer_list>
#include <limits>
#include <span>

namespace lay::runner {

namespace {

constexpr auto kNativeCalls = std::to_array<CallRange>({
#include "seccomp_native.inc"
});
constexpr auto kCompatCalls = std::to_array<CallRange>({
#include "seccomp_compat.inc"
});

#if defined(__x86_64__)
constexpr std::uint32_t kNativeArch = AUDIT_ARCH_X86_64;
constexpr std::uint32_t kCompatArch = AUDIT_ARCH_I386;
#elif defined(__aarch64__)
constexpr std::uint32_t kNativeArch = AUDIT_ARCH_AARCH64;
constexpr std::uint32_t kCompatArch = AUDIT_ARCH_ARM;
#else
#error "the system calls of this architecture have not been looked at"
#endif

constexpr std::uint32_t kAllow = SECCOMP_RET_ALLOW;
constexpr std::uint32_t kNotPermitted = SECCOMP_RET_ERRNO | EPERM;
constexpr std::uint32_t kNotThere = SECCOMP_RET_ERRNO | ENOSYS;
constexpr std::uint32_t kNamespaceFlags =
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
constexpr std::size_t kFarthest = std::numeric_limits<std::uint8_t>::max();  // a conditional jump's reach

/// The kernel looks at 32 bits of an int argument, so must the filter.
constexpr std::uint32_t low_half_of(std::size_t argument) {
  constexpr std::size_t kLowHalf = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 0 : sizeof(std::uint32_t);
  return static_cast<std::uint32_t>(offsetof(seccomp_data, args) + argument * sizeof(std::uint64_t) +
                                    kLowHalf);
}

/// Writes one program; classic BPF, Documentation/networking/filter.rst. Jumps lead forward only.
class Assembler {
 public:
  explicit Assembler(std::uint64_t capabilities) : capabilities_(capabilities) {}

  /// The calls of `arch`; goes on behind them for another one. The architecture is loaded.
  void add_architecture(std::uint32_t arch, std::span<const CallRange> calls) {
    add(BPF_JMP | BPF_JEQ | BPF_K, arch, 1, 0);
    const std::size_t skip = add(BPF_JMP | BPF_JA, 0);
    load(offsetof(seccomp_data, nr));
    add_tree(merged(calls));
    program_[skip].k = distance_from(skip);
  }

  void load(std::size_t offset) { add(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset)); }
  void answer(std::uint32_t value) { add(BPF_RET | BPF_K, value); }
  std::vector<sock_filter> take() { return std::move(program_); }

 private:
  bool has(std::uint64_t capability) const { return ((capabilities_ >> capability) & 1) != 0; }

  std::size_t add(unsigned code, std::uint32_t k, std::uint8_t if_true = 0, std::uint8_t if_false = 0) {
    program_.push_back({static_cast<std::uint16_t>(code), if_true, if_false, k});
    return program_.size() - 1;
  }

  std::uint32_t distance_from(std::size_t jump) const {
    return static_cast<std::uint32_t>(program_.size() - jump - 1);
  }

  /// What there is for these capabilities; neighbours with one answer become one.
  std::vector<CallRange> merged(std::span<const CallRange> calls) const {
    std::vector<CallRange> result;
    for (const CallRange& range : calls) {
      const bool is_granted = (range.capabilities & capabilities_) != 0;
      const CallAnswer answer = is_granted ? CallAnswer::allowed : range.answer;
      if (result.empty() || result.back().answer != answer)
        result.push_back({.first = range.first, .answer = answer});
    }
    return result;
  }

  /// A binary search for the number that is loaded.
  void add_tree(std::span<const CallRange> calls) {
    if (calls.size() == 1) return add_answer(calls.front().answer);
    const std::size_t middle = calls.size() / 2;
    const std::size_t test = add(BPF_JMP | BPF_JGE | BPF_K, calls[middle].first, 0, 1);
    const std::size_t far = add(BPF_JMP | BPF_JA, 0);
    add_tree(calls.first(middle));
    if (distance_from(far) <= kFarthest) {
      program_.erase(program_.begin() + static_cast<std::ptrdiff_t>(far));
      program_[test].jt = static_cast<std::uint8_t>(distance_from(test));
      program_[test].jf = 0;
    } else {
      program_[far].k = distance_from(far);
    }
    add_tree(calls.subspan(middle));
  }

  /// Answers `value` when what is loaded equals `k`.
  void answer_if(std::uint32_t k, std::uint32_t value) {
    add(BPF_JMP | BPF_JEQ | BPF_K, k, 0, 1);
    answer(value);
  }

  void add_answer(CallAnswer kind) {
    switch (kind) {
      case CallAnswer::unknown:
        return answer(kNotThere);
      case CallAnswer::denied:
        return answer(kNotPermitted);
      case CallAnswer::allowed:
        return answer(kAllow);
      case CallAnswer::clone:
        return add_clone();
      case CallAnswer::personality:
        return add_personality();
      case CallAnswer::socket:
        return add_socket();
      case CallAnswer::socketcall:
        load(low_half_of(0));
        answer_if(1, kNotPermitted);
        return answer(kAllow);
      case CallAnswer::ioctl:
        // Both put text into a terminal's input as if it had been typed: on the host, once the container has
        // ended.
        load(low_half_of(1));
        answer_if(TIOCSTI, kNotPermitted);
        answer_if(TIOCLINUX, kNotPermitted);
        return answer(kAllow);
    }
  }

  void add_clone() {
    if (has(CAP_SYS_ADMIN)) return answer(kAllow);
    load(low_half_of(0));
    add(BPF_JMP | BPF_JSET | BPF_K, kNamespaceFlags, 0, 1);
    answer(kNotPermitted);
    answer(kAllow);
  }

  /// PER_LINUX, PER_LINUX32, both with UNAME26, and the query.
  void add_personality() {
    load(low_half_of(0));
    for (const std::uint32_t value : {0x0U, 0x8U, 0x20000U, 0x20008U, 0xffffffffU}) answer_if(value, kAllow);
    answer(kNotThere);
  }

  void add_socket() {
    load(low_half_of(0));
    answer_if(AF_ALG, kNotPermitted);
    answer_if(AF_VSOCK, kNotPermitted);
    if (has(CAP_AUDIT_WRITE)) return answer(kAllow);
    // The answer of a kernel without auditing: programs that log in users carry on, where EPERM stops them.
    add(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 1, 0);
    answer(kAllow);
    load(low_half_of(2));
    answer_if(NETLINK_AUDIT, SECCOMP_RET_ERRNO | EINVAL);
    answer(kAllow);
  }

  std::uint64_t capabilities_;
  std::vector<sock_filter> program_;
};

}  // namespace

std::vector<sock_filter> assemble_builtin_profile(std::uint64_t capabilities) {
  Assembler assembler(capabilities);
  assembler.load(offsetof(seccomp_data, arch));
  assembler.add_architecture(kNativeArch, kNativeCalls);
  assembler.add_architecture(kCompatArch, kCompatCalls);
  assembler.answer(kNotThere);
  return assembler.take();
}

}  // namespace lay::runner
