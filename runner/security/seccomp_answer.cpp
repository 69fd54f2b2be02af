#include "security/seccomp_answer.h"

#include <linux/audit.h>
#include <linux/seccomp.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <optional>
#include <span>

namespace lay::runner {

namespace {

constexpr std::uint32_t kNativeArch =
#if defined(__x86_64__)
    AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
    AUDIT_ARCH_AARCH64;
#endif

/// Classic BPF as far as seccomp(2) programs have it: libseccomp writes these instructions, and lay itself.
class Machine {
 public:
  explicit Machine(const seccomp_data& data) : data_(data) {}

  std::uint32_t run(std::span<const sock_filter> program) {
    for (std::size_t at = 0; at < program.size(); ++at) {
      const sock_filter& step = program[at];
      if (BPF_CLASS(step.code) == BPF_RET) return BPF_RVAL(step.code) == BPF_K ? step.k : accumulator_;
      if (step.code == (BPF_JMP | BPF_JA)) {
        at += step.k;
      } else if (const auto is_met = compare(step)) {
        at += *is_met ? step.jt : step.jf;
      } else if (!execute(step)) {
        break;
      }
    }
    return SECCOMP_RET_KILL_PROCESS;
  }

 private:
  /// Empty for what is no comparison.
  std::optional<bool> compare(const sock_filter& step) const {
    switch (step.code) {
      case BPF_JMP | BPF_JEQ | BPF_K:
        return accumulator_ == step.k;
      case BPF_JMP | BPF_JSET | BPF_K:
        return (accumulator_ & step.k) != 0;
      case BPF_JMP | BPF_JGE | BPF_K:
        return accumulator_ >= step.k;
      case BPF_JMP | BPF_JGT | BPF_K:
        return accumulator_ > step.k;
      default:
        return std::nullopt;
    }
  }

  bool execute(const sock_filter& step) {
    switch (step.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        if (step.k > sizeof data_ - sizeof accumulator_) return false;
        std::memcpy(&accumulator_, reinterpret_cast<const char*>(&data_) + step.k, sizeof accumulator_);
        return true;
      case BPF_ALU | BPF_AND | BPF_K:
        accumulator_ &= step.k;
        return true;
      case BPF_LD | BPF_MEM:
        if (step.k >= memory_.size()) return false;
        accumulator_ = memory_.at(step.k);
        return true;
      case BPF_ST:
        if (step.k >= memory_.size()) return false;
        memory_.at(step.k) = accumulator_;
        return true;
      default:
        return false;
    }
  }

  const seccomp_data& data_;
  std::uint32_t accumulator_ = 0;
  std::array<std::uint32_t, BPF_MEMWORDS> memory_{};
};

}  // namespace

bool lets_pass(const SeccompFilter& filter, long number, const std::array<std::uint64_t, 6>& args) {
  if (filter.program.empty()) return true;
  seccomp_data data{};
  data.nr = static_cast<int>(number);
  data.arch = kNativeArch;
  std::ranges::copy(args, data.args);
  const std::uint32_t answer = Machine(data).run(filter.program) & SECCOMP_RET_ACTION_FULL;
  return answer == SECCOMP_RET_ALLOW || answer == SECCOMP_RET_LOG;
}

}  // namespace lay::runner
