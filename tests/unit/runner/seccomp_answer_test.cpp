#include "security/seccomp_answer.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/syscall.h>

#include <catch2/catch.hpp>

#include "runner/spec.h"
#include "security/seccomp_compile.h"

using namespace lay::runner;

namespace {

SeccompRule rule(SeccompAction action, std::vector<std::string> names,
                 std::vector<SeccompArgument> args = {}) {
  SeccompRule result;
  result.names = std::move(names);
  result.action = action;
  result.args = std::move(args);
  return result;
}

}  // namespace

TEST_CASE("a call passes where there is no filter") {
  CHECK(lets_pass({}, SYS_clone));
}

TEST_CASE("the answers of a compiled profile are told as the kernel would give them") {
  Seccomp profile;
  profile.default_action = SeccompAction::error;
  profile.syscalls.push_back(rule(SeccompAction::allow, {"read", "ioctl"}));
  profile.syscalls.push_back(rule(SeccompAction::log, {"prctl"}));
  SeccompArgument no_namespaces;
  no_namespaces.index = 0;
  no_namespaces.op = SeccompOperator::masked_eq;
  no_namespaces.value = 0x7E020000;
  no_namespaces.value_two = 0;
  profile.syscalls.push_back(rule(SeccompAction::allow, {"clone"}, {no_namespaces}));
  const SeccompFilter filter = compile_seccomp(profile);
  CHECK(lets_pass(filter, SYS_read));
  CHECK(lets_pass(filter, SYS_ioctl, {0, 0x540e}));
  CHECK(lets_pass(filter, SYS_prctl));
  CHECK_FALSE(lets_pass(filter, SYS_setsid));
  CHECK(lets_pass(filter, SYS_clone, {CLONE_PARENT | CLONE_PIDFD}));
  CHECK_FALSE(lets_pass(filter, SYS_clone, {CLONE_PARENT | CLONE_NEWUSER}));
}

TEST_CASE("a program with an instruction that is not known lets nothing pass, nor does one without an end") {
  const SeccompFilter unknown{
      .program = {{BPF_LDX | BPF_W | BPF_MEM, 0, 0, 0}, {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}}};
  CHECK_FALSE(lets_pass(unknown, SYS_read));
  const SeccompFilter endless{.program = {{BPF_JMP | BPF_JA, 0, 0, 5}}};
  CHECK_FALSE(lets_pass(endless, SYS_read));
}
