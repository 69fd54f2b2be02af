#include "cgroup/device_filter.h"

#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <optional>

#include "base/error.h"

namespace lay::runner {

namespace {

using Program = std::vector<bpf_insn>;

constexpr std::uint8_t kContext = BPF_REG_1;  // bpf_cgroup_dev_ctx
constexpr std::uint8_t kType = BPF_REG_2;
constexpr std::uint8_t kAccess = BPF_REG_3;
constexpr std::uint8_t kMajor = BPF_REG_4;
constexpr std::uint8_t kMinor = BPF_REG_5;
constexpr std::uint8_t kScratch = BPF_REG_6;
constexpr std::uint32_t kMostPrograms = 64;  // BPF_CGROUP_MAX_PROGS of the kernel
constexpr std::int32_t kAllAccess = BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE;

bpf_insn instruction(int code, std::uint8_t to, std::uint8_t from, int offset, std::int32_t value) {
  bpf_insn made{};
  made.code = static_cast<std::uint8_t>(code);
  made.dst_reg = to & 0xfU;
  made.src_reg = from & 0xfU;
  made.off = static_cast<std::int16_t>(offset);
  made.imm = value;
  return made;
}

bpf_insn load_word(std::uint8_t to, std::size_t offset) {
  return instruction(BPF_LDX | BPF_MEM | BPF_W, to, kContext, static_cast<int>(offset), 0);
}
bpf_insn set(std::uint8_t to, std::int32_t value) {
  return instruction(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value);
}
bpf_insn copy(std::uint8_t to, std::uint8_t from) {
  return instruction(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0);
}
bpf_insn keep_bits(std::uint8_t of, std::int32_t bits) {
  return instruction(BPF_ALU64 | BPF_AND | BPF_K, of, 0, 0, bits);
}
bpf_insn leave() {
  return instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

std::int32_t access_bits(const std::string& access) {
  std::int32_t bits = 0;
  for (const char letter : access) {
    if (letter == 'm') bits |= BPF_DEVCG_ACC_MKNOD;
    if (letter == 'r') bits |= BPF_DEVCG_ACC_READ;
    if (letter == 'w') bits |= BPF_DEVCG_ACC_WRITE;
  }
  return bits;
}

/// One rule: what must be so for it to match, and its answer. Jumps over the rest lead to the next rule.
class RuleWriter {
 public:
  explicit RuleWriter(Program& program) : program_(program) {}

  void require(std::uint8_t value, std::int32_t expected) { skip_unless(BPF_JEQ, value, expected); }
  /// An allow must cover all that is asked for, a deny any of it.
  void require_access(const DeviceRule& rule) {
    const std::int32_t bits = access_bits(rule.access);
    program_.push_back(copy(kScratch, kAccess));
    program_.push_back(keep_bits(kScratch, rule.allow ? kAllAccess & ~bits : bits));
    skip_unless(rule.allow ? BPF_JEQ : BPF_JNE, kScratch, 0);
  }
  void answer(bool is_allowed) {
    program_.push_back(set(BPF_REG_0, is_allowed ? 1 : 0));
    program_.push_back(leave());
    for (const std::size_t jump : jumps_)
      program_[jump].off = static_cast<std::int16_t>(program_.size() - jump - 1);
  }

 private:
  void skip_unless(int condition, std::uint8_t value, std::int32_t operand) {
    const int inverse = condition == BPF_JEQ ? BPF_JNE : BPF_JEQ;
    jumps_.push_back(program_.size());
    program_.push_back(instruction(BPF_JMP | inverse | BPF_K, value, 0, 0, operand));
  }

  Program& program_;
  std::vector<std::size_t> jumps_;
};

void add_rule(Program& program, const DeviceRule& rule) {
  RuleWriter writer(program);
  if (rule.type != "a") {
    writer.require(kType, rule.type == "b" ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
    if (rule.major) writer.require(kMajor, static_cast<std::int32_t>(*rule.major));
    if (rule.minor) writer.require(kMinor, static_cast<std::int32_t>(*rule.minor));
    writer.require_access(rule);
  }
  writer.answer(rule.allow);
}

Program assemble(const std::vector<DeviceRule>& rules) {
  Program program{load_word(kType, offsetof(bpf_cgroup_dev_ctx, access_type)),
                  copy(kAccess, kType),
                  keep_bits(kType, 0xffff),
                  instruction(BPF_ALU64 | BPF_RSH | BPF_K, kAccess, 0, 0, 16),
                  load_word(kMajor, offsetof(bpf_cgroup_dev_ctx, major)),
                  load_word(kMinor, offsetof(bpf_cgroup_dev_ctx, minor))};
  for (auto rule = rules.rbegin(); rule != rules.rend(); ++rule) {
    add_rule(program, *rule);
    if (rule->type == "a") return program;  // what comes behind is never reached, which the kernel refuses
  }
  program.push_back(set(BPF_REG_0, 0));
  program.push_back(leave());
  return program;
}

int call_bpf(int command, bpf_attr& request) {
  return static_cast<int>(::syscall(SYS_bpf, command, &request, sizeof request));
}

UniqueFd load_program(const Program& program) {
  bpf_attr load;
  std::memset(&load, 0, sizeof load);
  load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  load.insns = reinterpret_cast<std::uintptr_t>(program.data());
  load.insn_cnt = static_cast<std::uint32_t>(program.size());
  load.license = reinterpret_cast<std::uintptr_t>("Apache-2.0");
  UniqueFd loaded(call_bpf(BPF_PROG_LOAD, load));
  if (!loaded) throw Error::from_errno("load the device rules into the kernel");
  return loaded;
}

/// The programs that the group itself has.
std::vector<UniqueFd> attached_programs(const UniqueFd& group) {
  std::array<std::uint32_t, kMostPrograms> ids{};
  bpf_attr query;
  std::memset(&query, 0, sizeof query);
  query.query.target_fd = static_cast<std::uint32_t>(group.get());
  query.query.attach_type = BPF_CGROUP_DEVICE;
  query.query.prog_ids = reinterpret_cast<std::uintptr_t>(ids.data());
  query.query.prog_cnt = kMostPrograms;
  if (call_bpf(BPF_PROG_QUERY, query) < 0) throw Error::from_errno("list the device rules of the cgroup");
  std::vector<UniqueFd> programs;
  for (std::uint32_t i = 0; i < query.query.prog_cnt; ++i) {
    bpf_attr open;
    std::memset(&open, 0, sizeof open);
    open.prog_id = ids[i];
    programs.emplace_back(call_bpf(BPF_PROG_GET_FD_BY_ID, open));
    if (!programs.back()) throw Error::from_errno("open the device rules of the cgroup");
  }
  return programs;
}

void call_attach(int command, const UniqueFd& group, const UniqueFd& program, std::uint32_t flags) {
  bpf_attr attach;
  std::memset(&attach, 0, sizeof attach);
  attach.target_fd = static_cast<std::uint32_t>(group.get());
  attach.attach_bpf_fd = static_cast<std::uint32_t>(program.get());
  attach.attach_type = BPF_CGROUP_DEVICE;
  attach.attach_flags = flags;
  if (call_bpf(command, attach) < 0) throw Error::from_errno("change the device rules of the cgroup");
}

}  // namespace

/// What is allowed by both is allowed meanwhile.
void replace_device_filters(const UniqueFd& group, const std::vector<DeviceRule>& rules) {
  const UniqueFd program = load_program(assemble(rules));
  const std::vector<UniqueFd> before = attached_programs(group);
  call_attach(BPF_PROG_ATTACH, group, program, BPF_F_ALLOW_MULTI);
  for (const UniqueFd& old : before) call_attach(BPF_PROG_DETACH, group, old, 0);
}

}  // namespace lay::runner
