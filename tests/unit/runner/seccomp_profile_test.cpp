#include "runner/seccomp_profile.h"

#include <catch2/catch.hpp>

#include "error_of.h"
#include "spec/seccomp_json.h"

using namespace lay;
using namespace lay::runner;
using lay::test::error_of;

namespace {

const SeccompAudience kPlain{.capabilities = {"CAP_CHOWN"}, .kernel = "6.18.5-lay"};

Json profile_with(const char* entries) {
  return parse_json(R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [)" + std::string(entries) + "]}",
                    "test");
}

std::vector<std::string> names_of(const Seccomp& seccomp) {
  std::vector<std::string> names;
  for (const SeccompRule& rule : seccomp.syscalls)
    names.insert(names.end(), rule.names.begin(), rule.names.end());
  return names;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("entries are chosen by capabilities, architecture and kernel", "[runner][seccomp]") {
  const Json profile = profile_with(R"(
    {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
    {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
    {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN"], "arches": ["s390"]}},
    {"names": ["breakpoint"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["nonesuch"]}},
    {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
    {"names": ["future"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "6.19"}},
    {"names": ["past"], "action": "SCMP_ACT_ALLOW", "excludes": {"minKernel": "4.8"}})");
  CHECK(names_of(parse_seccomp_profile(profile, kPlain)) == Names{"read", "clone", "ptrace"});
  CHECK(names_of(parse_seccomp_profile(profile, {.capabilities = {"CAP_SYS_ADMIN"}, .kernel = "4.4"})) ==
        Names{"read", "mount", "past"});
}

TEST_CASE("versions of kernels are compared as numbers", "[runner][seccomp]") {
  CHECK(is_kernel_at_least("6.18.5-lay", "6.18"));
  CHECK(is_kernel_at_least("6.18", "6.9"));
  CHECK_FALSE(is_kernel_at_least("6.8.0", "6.18"));
  CHECK(is_kernel_at_least("5.0", "5"));
  CHECK(error_of([] { is_kernel_at_least("5.0", "new"); }).code() == Errc::invalid);
}

TEST_CASE("all that a profile of docker's or podman's form can say is kept", "[runner][seccomp]") {
  const Json profile = parse_json(R"({
    "defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "ENOSYS", "flags": ["SECCOMP_FILTER_FLAG_LOG"],
    "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
                {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
                {"architecture": "SCMP_ARCH_S390X", "subArchitectures": ["SCMP_ARCH_S390"]}],
    "syscalls": [
      {"name": "socket", "action": "SCMP_ACT_ERRNO", "errno": "EINVAL", "comment": "x", "args": [
        {"index": 0, "value": 16, "op": "SCMP_CMP_EQ"},
        {"index": 5, "value": 18446744073709551615, "valueTwo": 1, "op": "SCMP_CMP_MASKED_EQ"}]},
      {"names": ["a", "b"], "action": "SCMP_ACT_TRACE", "errnoRet": 7, "args": null},
      {"names": ["c"], "action": "SCMP_ACT_KILL"}]})",
                                  "test");
  const Seccomp seccomp = parse_seccomp_profile(profile, kPlain);
  CHECK(seccomp.default_errno_ret == 38);
  CHECK(seccomp.flags == Names{"SECCOMP_FILTER_FLAG_LOG"});
  CHECK(seccomp.architectures.size() == 2);
  REQUIRE(seccomp.syscalls.size() == 3);
  CHECK(seccomp.syscalls[0].errno_ret == 22);
  CHECK(seccomp.syscalls[0].args.at(1) ==
        SeccompArgument{.index = 5, .value = UINT64_MAX, .value_two = 1, .op = SeccompOperator::masked_eq});
  CHECK(seccomp.syscalls[1].errno_ret == 7);
  CHECK(seccomp.syscalls[2].action == SeccompAction::kill_thread);
  const Json json = seccomp_to_json(seccomp);
  CHECK(seccomp_to_json(parse_seccomp(json)) == json);
}

TEST_CASE("what is wrong in a profile is named with its entry", "[runner][seccomp]") {
  const auto fails = [](const char* entries, const char* words) {
    const Error error = error_of([&] { parse_seccomp_profile(profile_with(entries), kPlain); });
    CHECK(error.code() == Errc::invalid);
    CHECK_THAT(error.message(), Catch::Contains(words));
  };
  fails(R"({"names": ["a"], "action": "SCMP_ACT_ALLOW"}, {"names": ["b"], "action": "ALLOW"})",
        "entry 1 of 'syscalls': 'action' is 'ALLOW'");
  fails(
      R"({"names": ["a"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]})",
      "'index' is 6");
  fails(
      R"({"names": ["a"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": -1, "op": "SCMP_CMP_EQ"}]})",
      "'value' is -1");
  fails(R"({"names": ["a"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 0, "op": "="}]})",
        "'op' is '='");
  fails(R"({"names": [], "action": "SCMP_ACT_ALLOW"})", "'names' is empty");
  fails(R"({"name": "a", "names": ["b"], "action": "SCMP_ACT_ALLOW"})", "both 'name' and 'names'");
  fails(R"({"names": ["a"], "action": "SCMP_ACT_ERRNO", "errno": "ENONE"})", "no error's name");
  fails(R"({"names": ["a"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5000})", "up to 4095");
  fails(R"({"names": "a", "action": "SCMP_ACT_ALLOW"})", "names");
  // of an entry that is not for this machine, too
  fails(R"({"names": ["a"], "action": "NO", "includes": {"arches": ["s390"]}})", "'action' is 'NO'");
  const Error both = error_of([] {
    Json profile = profile_with("");
    profile["architectures"] = {"SCMP_ARCH_X86"};
    profile["archMap"] = {{{"architecture", "SCMP_ARCH_X86_64"}}};
    parse_seccomp_profile(profile, kPlain);
  });
  CHECK_THAT(both.message(), Catch::Contains("both 'architectures' and 'archMap'"));
}
