#include "security/seccomp_compile.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "security/seccomp_library.h"
#include "security/seccomp_new_calls.h"
#include "spec/seccomp_json.h"

namespace lay::runner {

namespace {

using Filter = std::unique_ptr<void, void (*)(scmp_filter_ctx)>;

struct Architecture {
  std::string_view name;
  std::uint32_t token = 0;  ///< libseccomp's, 0 when no program of it can run here
  std::uint32_t audit = 0;  ///< the kernel's, 0 when it shares that of another one
};

constexpr auto kArchitectures = std::to_array<Architecture>({
#if defined(__x86_64__)
  {"SCMP_ARCH_X86_64", SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64},
      {"SCMP_ARCH_X86", SCMP_ARCH_X86, AUDIT_ARCH_I386}, {"SCMP_ARCH_X32", SCMP_ARCH_X32, 0},
      {"SCMP_ARCH_AARCH64"}, {"SCMP_ARCH_ARM"},
#elif defined(__aarch64__)
  {"SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64, AUDIT_ARCH_AARCH64},
      {"SCMP_ARCH_ARM", SCMP_ARCH_ARM, AUDIT_ARCH_ARM}, {"SCMP_ARCH_X86_64"}, {"SCMP_ARCH_X86"},
      {"SCMP_ARCH_X32"},
#endif
      {"SCMP_ARCH_MIPS"}, {"SCMP_ARCH_MIPS64"}, {"SCMP_ARCH_MIPS64N32"}, {"SCMP_ARCH_MIPSEL"},
      {"SCMP_ARCH_MIPSEL64"}, {"SCMP_ARCH_MIPSEL64N32"}, {"SCMP_ARCH_PPC"}, {"SCMP_ARCH_PPC64"},
      {"SCMP_ARCH_PPC64LE"}, {"SCMP_ARCH_S390"}, {"SCMP_ARCH_S390X"}, {"SCMP_ARCH_PARISC"},
      {"SCMP_ARCH_PARISC64"}, {"SCMP_ARCH_RISCV64"}, {"SCMP_ARCH_LOONGARCH64"},
});
constexpr int kX32Bit = 0x40000000;  // __X32_SYSCALL_BIT
constexpr const Architecture& kNative = kArchitectures.front();

void check(int result, const std::string& what) {
  if (result < 0) throw Error::from_number(-result, what);
}

std::uint32_t answer_of(SeccompAction action, std::optional<std::uint32_t> errno_ret) {
  const std::uint32_t data = errno_ret.value_or(EPERM);
  switch (action) {
    case SeccompAction::kill_process:
      return SCMP_ACT_KILL_PROCESS;
    case SeccompAction::kill_thread:
      return SCMP_ACT_KILL_THREAD;
    case SeccompAction::trap:
      return SCMP_ACT_TRAP;
    case SeccompAction::error:
      return SCMP_ACT_ERRNO(data);
    case SeccompAction::notify:
      return SCMP_ACT_NOTIFY;
    case SeccompAction::trace:
      return SCMP_ACT_TRACE(data);
    case SeccompAction::log:
      return SCMP_ACT_LOG;
    case SeccompAction::allow:
      break;
  }
  return SCMP_ACT_ALLOW;
}

/// The order in which the kernel prefers answers, seccomp(2): the lower, the stricter.
std::int32_t leniency(std::uint32_t answer) {
  return static_cast<std::int32_t>(answer & SECCOMP_RET_ACTION_FULL);
}

/// Otherwise the kernel would take it for a kill.
void require_available(SeccompAction action) {
  const std::uint32_t value = answer_of(action, 0);
  if (::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &value) < 0)
    throw Error::make(Errc::unsupported, "this kernel has no {}", name_of(action))
        .with_hint("'lay info --security' lists the actions that it has");
}

/// config-linux.md, "Seccomp".
void check_agent(const Seccomp& seccomp) {
  if (seccomp.default_action == SeccompAction::notify)
    throw Error(Errc::unsupported,
                "SCMP_ACT_NOTIFY cannot be the default: no call at all would be made without the agent")
        .with_hint("let 'syscalls' name the calls that it shall answer");
  if (seccomp.listener_path.empty()) {
    if (has_agent(seccomp))
      throw Error(Errc::invalid, "SCMP_ACT_NOTIFY needs 'listenerPath', the socket of the agent that answers")
          .with_hint("SCMP_ACT_ERRNO or SCMP_ACT_LOG answer by themselves");
    if (!seccomp.listener_metadata.empty())
      throw Error(Errc::invalid, "'listenerMetadata' is for an agent, but there is no 'listenerPath'");
  } else if (has_agent(seccomp) && !seccomp.listener_path.starts_with('/')) {
    throw Error::make(Errc::invalid, "listenerPath '{}' is not an absolute path",
                      printable(seccomp.listener_path));
  }
}

std::vector<Architecture> chosen_architectures(const Seccomp& seccomp) {
  std::vector<Architecture> chosen{kNative};
  for (const std::string& name : seccomp.architectures) {
    const auto known = std::find_if(kArchitectures.begin(), kArchitectures.end(),
                                    [&](const Architecture& entry) { return entry.name == name; });
    if (known == kArchitectures.end())
      throw Error::make(Errc::invalid, "'{}' is no architecture", printable(name))
          .with_hint("SCMP_ARCH_X86_64 is one");
    if (known->token == 0) continue;
    const auto is_known = [&](const Architecture& entry) { return entry.token == known->token; };
    if (std::none_of(chosen.begin(), chosen.end(), is_known)) chosen.push_back(*known);
  }
  return chosen;
}

constexpr auto kFlags = std::to_array<std::pair<std::string_view, unsigned>>({
    {"SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC},
    {"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
    {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
    {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV},
});

unsigned flag_bits(const Seccomp& seccomp) {
  unsigned bits = 0;
  for (const std::string& name : seccomp.flags) {
    const auto known =
        std::find_if(kFlags.begin(), kFlags.end(), [&](const auto& entry) { return entry.first == name; });
    if (known == kFlags.end())
      throw Error::make(Errc::unsupported, "'{}' is no flag that lay knows", printable(name))
          .with_hint("known are TSYNC, LOG, SPEC_ALLOW and WAIT_KILLABLE_RECV, behind SECCOMP_FILTER_FLAG_");
    bits |= known->second;
  }
  // Of a filter with an agent; the kernel refuses it elsewhere, where it would mean nothing
  if (!has_agent(seccomp)) bits &= ~unsigned{SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV};
  return bits;
}

/// One call, its conditions and the answer, as they are given to libseccomp.
struct Call {
  std::string name;
  std::vector<SeccompArgument> args;
  std::uint32_t answer = 0;
};

bool has_repeated_index(const std::vector<SeccompArgument>& args) {
  for (std::size_t i = 0; i < args.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (args[i].index == args[j].index) return true;
  return false;
}

/// In the order of the profile: of two answers to a call without conditions the first one counts.
std::vector<Call> list_calls(const Seccomp& seccomp, std::uint32_t default_answer) {
  std::vector<Call> calls;
  std::size_t number = 0;
  for (const SeccompRule& rule : seccomp.syscalls)
    with_context(fmt::format("entry {} of 'syscalls'", number++), [&] {
      require_available(rule.action);
      const std::uint32_t answer = answer_of(rule.action, rule.errno_ret);
      if (answer == default_answer) return;
      std::vector<std::vector<SeccompArgument>> conditions{rule.args};
      if (has_repeated_index(rule.args)) {
        conditions.clear();
        for (const SeccompArgument& argument : rule.args) conditions.push_back({argument});
      }
      for (const std::string& name : rule.names)
        for (const auto& args : conditions) calls.push_back({.name = name, .args = args, .answer = answer});
    });
  return calls;
}

/// The number of a call that is newer than the library.
std::optional<int> number_of_new(const std::string& name) {
  for (const auto& [known, number] : kNewSyscalls)
    if (known == name) return number;
  return std::nullopt;
}

/// Calls that the library has no names for: those with a number, for the program in front of the library's.
/// What it lacks altogether keeps the default answer, as with docker; unless that would let a call through.
std::vector<std::pair<int, std::uint32_t>> take_new_calls(const SeccompLibrary& library,
                                                          std::vector<Call>& calls,
                                                          std::uint32_t default_answer) {
  std::vector<std::pair<int, std::uint32_t>> found;
  std::erase_if(calls, [&](const Call& call) {
    if (library.resolve_name(call.name.c_str()) != __NR_SCMP_ERROR) return false;
    const auto number = number_of_new(call.name);
    if (number && call.args.empty()) {
      found.emplace_back(*number, call.answer);
    } else if (leniency(call.answer) < leniency(default_answer)) {
      throw Error::make(Errc::unsupported, "call '{}' cannot be forbidden: {}", printable(call.name),
                        number ? "libseccomp does not know it, so its arguments cannot be looked at"
                               : "neither libseccomp nor lay knows it")
          .with_hint("correct its name, or leave it out");
    }
    return true;
  });
  return found;
}

scmp_compare comparison(SeccompOperator op) {
  switch (op) {
    case SeccompOperator::ne:
      return SCMP_CMP_NE;
    case SeccompOperator::lt:
      return SCMP_CMP_LT;
    case SeccompOperator::le:
      return SCMP_CMP_LE;
    case SeccompOperator::ge:
      return SCMP_CMP_GE;
    case SeccompOperator::gt:
      return SCMP_CMP_GT;
    case SeccompOperator::masked_eq:
      return SCMP_CMP_MASKED_EQ;
    case SeccompOperator::eq:
      break;
  }
  return SCMP_CMP_EQ;
}

Filter make_filter(const SeccompLibrary& library, std::uint32_t default_answer,
                   std::span<const Architecture> architectures) {
  Filter filter(library.init(default_answer), library.release);
  if (!filter) throw Error(Errc::io, "libseccomp cannot begin a filter");
  for (const Architecture& architecture : architectures)
    if (const int result = library.arch_add(filter.get(), architecture.token); result != -EEXIST)
      check(result, fmt::format("add architecture {}", architecture.name));
  check(library.attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2), "ask for a binary tree");
  return filter;
}

void add_calls(const SeccompLibrary& library, const Filter& filter, std::span<const Call> calls) {
  for (const Call& call : calls) {
    std::vector<scmp_arg_cmp> args;
    for (const SeccompArgument& argument : call.args)
      args.push_back({argument.index, comparison(argument.op), argument.value, argument.value_two});
    check(library.rule_add(filter.get(), call.answer, library.resolve_name(call.name.c_str()),
                           static_cast<unsigned>(args.size()), args.data()),
          fmt::format("add call '{}'", call.name));
  }
}

/// Answers calls by number; what it does not know goes on to what stands behind it. Classic BPF.
std::vector<sock_filter> program_for_new_calls(std::span<const std::pair<int, std::uint32_t>> calls,
                                               std::span<const Architecture> architectures) {
  std::vector<sock_filter> program;
  if (calls.empty()) return program;
  const bool has_x32 = std::any_of(architectures.begin(), architectures.end(),
                                   [](const Architecture& each) { return each.name == "SCMP_ARCH_X32"; });
  const auto add = [&](unsigned code, std::uint32_t k, std::uint8_t if_true = 0, std::uint8_t if_false = 0) {
    program.push_back({static_cast<std::uint16_t>(code), if_true, if_false, k});
  };
  for (const Architecture& architecture : architectures) {
    if (architecture.audit == 0) continue;
    std::vector<std::pair<int, std::uint32_t>> present(calls.begin(), calls.end());
    if (architecture.token != kNative.token)
      std::erase_if(present, [](const auto& call) { return call.first < kFirstCommonCall; });
    else if (has_x32)  // told from the native architecture by a bit of the number
      for (const auto& [number, answer] : calls) present.emplace_back(number | kX32Bit, answer);
    add(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch));
    add(BPF_JMP | BPF_JEQ | BPF_K, architecture.audit, 0, static_cast<std::uint8_t>(1 + 2 * present.size()));
    add(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));
    for (const auto& [number, answer] : present) {
      add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(number), 0, 1);
      add(BPF_RET | BPF_K, answer);
    }
  }
  return program;
}

void append_library_program(const SeccompLibrary& library, const Filter& filter,
                            std::vector<sock_filter>& program) {
  const UniqueFd file(::memfd_create("seccomp", MFD_CLOEXEC));
  if (!file) throw Error::from_errno("make a file in memory");
  check(library.export_bpf(filter.get(), file.get()), "compile the profile");
  if (::lseek(file.get(), 0, SEEK_SET) < 0) throw Error::from_errno("rewind the compiled profile");
  constexpr std::size_t kMost = 16 * 1024 * 1024;
  const std::string bytes = sys::read_all(file, kMost);
  const std::size_t before = program.size();
  program.resize(before + bytes.size() / sizeof(sock_filter));
  std::memcpy(program.data() + before, bytes.data(),
              bytes.size() / sizeof(sock_filter) * sizeof(sock_filter));
}

}  // namespace

bool has_agent(const Seccomp& seccomp) {
  return std::ranges::any_of(seccomp.syscalls,
                             [](const SeccompRule& rule) { return rule.action == SeccompAction::notify; });
}

std::vector<std::string> seccomp_flag_names() {
  std::vector<std::string> names;
  for (const auto& [name, bit] : kFlags) names.emplace_back(name);
  return names;
}

SeccompFilter compile_seccomp(const Seccomp& seccomp) {
  check_agent(seccomp);
  require_available(seccomp.default_action);
  const std::uint32_t default_answer = answer_of(seccomp.default_action, seccomp.default_errno_ret);
  const std::vector<Architecture> architectures = chosen_architectures(seccomp);
  std::vector<Call> calls = list_calls(seccomp, default_answer);

  const SeccompLibrary& library = seccomp_library();
  const auto new_calls = take_new_calls(library, calls, default_answer);
  const Filter filter = make_filter(library, default_answer, architectures);
  add_calls(library, filter, calls);
  SeccompFilter result{.program = program_for_new_calls(new_calls, architectures),
                       .flags = flag_bits(seccomp)};
  append_library_program(library, filter, result.program);
  if (result.program.size() > BPF_MAXINSNS)
    throw Error::make(Errc::unsupported, "the seccomp profile makes {} instructions, the kernel takes {}",
                      result.program.size(), BPF_MAXINSNS)
        .with_hint("fewer conditions on arguments, or fewer architectures, make it smaller");
  return result;
}

}  // namespace lay::runner
