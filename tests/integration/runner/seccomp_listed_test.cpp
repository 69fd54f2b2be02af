#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <cstring>
#include <functional>

#include "error_of.h"
#include "in_child.h"
#include "runner/seccomp_profile.h"
#include "security/capabilities.h"
#include "security/seccomp.h"
#include "security/seccomp_compile.h"
#include "skip.h"

using namespace lay;
using namespace lay::runner;
using lay::test::ChildResult;
using lay::test::error_of;
using lay::test::in_child;

namespace {

Seccomp profile_of(const std::string& text) {
  return parse_seccomp_profile(parse_json(text, "test"),
                               {.capabilities = default_capabilities().bounding, .kernel = "6.18"});
}

/// Runs `body` in a child under the profile.
ChildResult under(const Seccomp& profile, const std::function<std::string()>& body) {
  const SeccompFilter filter = compile_seccomp(profile);
  return in_child(0, [&] {
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return std::string("no_new_privs failed");
    load_seccomp(filter);
    return body();
  });
}

std::string answer(long number, std::array<unsigned long, 3> args = {}) {
  const long result = ::syscall(number, args[0], args[1], args[2]);
  return result < 0 ? ::strerrorname_np(errno) : "ok";
}

/// A profile that lets everything through but these entries.
std::string all_but(const std::string& entries) {
  return R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [)" + entries + "]}";
}

std::string condition(const char* op, std::uint64_t value, std::uint64_t value_two = 0) {
  return all_but(fmt::format(R"({{"names": ["umask"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95,
    "args": [{{"index": 0, "value": {}, "valueTwo": {}, "op": "SCMP_CMP_{}"}}]}})",
                             value, value_two, op));
}

std::string umasks(const Seccomp& profile) {
  return under(profile,
               [] {
                 std::string text;
                 for (const unsigned long mask : {1UL, 2UL, 3UL}) text += answer(SYS_umask, {mask}) + " ";
                 return text;
               })
      .text;
}

}  // namespace

TEST_CASE("every comparison of a profile's arguments bites", "[runner][seccomp]") {
  CHECK(umasks(profile_of(condition("NE", 2))) == "EOPNOTSUPP ok EOPNOTSUPP ");
  CHECK(umasks(profile_of(condition("LT", 2))) == "EOPNOTSUPP ok ok ");
  CHECK(umasks(profile_of(condition("LE", 2))) == "EOPNOTSUPP EOPNOTSUPP ok ");
  CHECK(umasks(profile_of(condition("EQ", 2))) == "ok EOPNOTSUPP ok ");
  CHECK(umasks(profile_of(condition("GE", 2))) == "ok EOPNOTSUPP EOPNOTSUPP ");
  CHECK(umasks(profile_of(condition("GT", 2))) == "ok ok EOPNOTSUPP ");
  CHECK(umasks(profile_of(condition("MASKED_EQ", 1, 1))) == "EOPNOTSUPP ok EOPNOTSUPP ");
}

TEST_CASE("several conditions on one argument are alternatives, on several all must hold",
          "[runner][seccomp]") {
  CHECK(umasks(profile_of(all_but(R"({"names": ["umask"], "action": "SCMP_ACT_ERRNO", "args": [
    {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}, {"index": 0, "value": 3, "op": "SCMP_CMP_EQ"}]})"))) ==
        "EPERM ok EPERM ");
  CHECK(umasks(profile_of(all_but(R"({"names": ["umask"], "action": "SCMP_ACT_ERRNO", "args": [
    {"index": 0, "value": 1, "op": "SCMP_CMP_GE"}, {"index": 1, "value": 3, "op": "SCMP_CMP_EQ"}]})"))) ==
        "ok ok ok ");
}

TEST_CASE("an allow list denies the rest with the default's errno", "[runner][seccomp]") {
  const Seccomp profile =
      profile_of(R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "syscalls": [
    {"names": ["write", "exit_group", "exit", "close", "read", "fstat"], "action": "SCMP_ACT_ALLOW"},
    {"names": ["getppid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5},
    {"names": ["nosuchcall"], "action": "SCMP_ACT_ALLOW"}]})");
  const ChildResult result = under(profile, [] {
    return answer(SYS_getppid) + " " + answer(SYS_umask) + " " + answer(SYS_close, {999}) + " " + answer(480);
  });
  CHECK(result.error == "");
  CHECK(result.text == "EIO ENOSYS EBADF ENOSYS");
}

TEST_CASE("of two answers without conditions the first one counts, before those with conditions",
          "[runner][seccomp]") {
  const Seccomp profile = profile_of(all_but(R"(
    {"names": ["umask"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5, "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]},
    {"names": ["umask"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95},
    {"names": ["umask"], "action": "SCMP_ACT_ERRNO", "errnoRet": 6})"));
  CHECK(umasks(profile) == "EOPNOTSUPP EOPNOTSUPP EOPNOTSUPP ");
}

TEST_CASE("a profile can kill, and log", "[runner][seccomp]") {
  const Seccomp kills = profile_of(all_but(R"({"names": ["umask"], "action": "SCMP_ACT_KILL_PROCESS"})"));
  const ChildResult killed = under(kills, [] { return answer(SYS_umask); });
  CHECK(WIFSIGNALED(killed.status));
  CHECK(WTERMSIG(killed.status) == SIGSYS);
  const Seccomp logs =
      profile_of(R"({"defaultAction": "SCMP_ACT_LOG", "flags": ["SECCOMP_FILTER_FLAG_LOG"]})");
  CHECK(under(logs, [] { return answer(SYS_umask); }).text == "ok");
}

TEST_CASE("calls that libseccomp has no name for are denied and allowed by number", "[runner][seccomp]") {
  const Seccomp denies =
      profile_of(all_but(R"({"names": ["mseal", "listmount"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5})"));
  CHECK(under(denies, [] { return answer(462, {1}) + " " + answer(458) + " " + answer(SYS_umask); }).text ==
        "EIO EIO ok");
  const Seccomp allows =
      profile_of(R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "syscalls": [
    {"names": ["write", "exit_group", "mseal"], "action": "SCMP_ACT_ALLOW"}]})");
  CHECK(under(allows, [] { return answer(462, {1}) + " " + answer(458); }).text == "EINVAL ENOSYS");
}

TEST_CASE("an agent is named when calls are left to it, by an absolute path", "[runner][seccomp]") {
  const auto refused = [](const std::string& text, const char* words) {
    const Error error = error_of([&] { compile_seccomp(profile_of(text)); });
    CHECK(error.code() == Errc::invalid);
    CHECK_THAT(error.message(), Catch::Contains(words));
  };
  refused(all_but(R"({"names": ["umask"], "action": "SCMP_ACT_NOTIFY"})"), "needs 'listenerPath'");
  refused(R"({"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"})", "no 'listenerPath'");
  refused(R"({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "run/x",
              "syscalls": [{"names": ["umask"], "action": "SCMP_ACT_NOTIFY"}]})",
          "not an absolute path");
}

TEST_CASE("without calls for an agent what is said of one means nothing", "[runner][seccomp]") {
  const Seccomp rules = profile_of(R"({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "run/x",
    "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", "SECCOMP_FILTER_FLAG_LOG"]})");
  CHECK(!has_agent(rules));
  CHECK(compile_seccomp(rules).flags == SECCOMP_FILTER_FLAG_LOG);
}

TEST_CASE("U06: what a profile asks for and would not get is an error", "[runner][seccomp]") {
  const auto refused = [](const std::string& text, const char* words) {
    const Error error = error_of([&] { compile_seccomp(profile_of(text)); });
    CHECK(error.code() == Errc::unsupported);
    CHECK_THAT(error.message(), Catch::Contains(words));
    CHECK(!error.hint().empty());
  };
  refused(all_but(R"({"names": ["monut"], "action": "SCMP_ACT_ERRNO"})"), "'monut' cannot be forbidden");
  refused(all_but(R"({"names": ["mseal"], "action": "SCMP_ACT_ERRNO", "args": [
    {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]})"),
          "its arguments cannot be looked at");
  refused(R"({"defaultAction": "SCMP_ACT_NOTIFY", "listenerPath": "/run/x"})", "cannot be the default");
  refused(R"({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_FLY"]})", "FLAG_FLY");
  const Error error = error_of([] {
    compile_seccomp(
        profile_of(R"({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_PDP11"]})"));
  });
  CHECK(error.message() == "'SCMP_ARCH_PDP11' is no architecture");
}

TEST_CASE("podman's default profile compiles, whatever the capabilities", "[runner][seccomp]") {
  constexpr const char* kProfile = "/usr/share/containers/seccomp.json";
  if (::access(kProfile, R_OK) < 0) SKIP_TEST("podman's profile is not installed");
  const Json json =
      parse_json(sys::read_all(sys::open_at(sys::cwd(), kProfile, O_RDONLY), kMaxJsonBytes), kProfile);
  for (const auto& capabilities :
       {std::vector<std::string>{}, std::vector<std::string>{"CAP_SYS_ADMIN", "CAP_AUDIT_WRITE"}}) {
    const Seccomp profile = parse_seccomp_profile(json, {.capabilities = capabilities, .kernel = "6.18"});
    const ChildResult result = under(profile, [] {
      return answer(SYS_umask) + " " + answer(SYS_socket, {AF_VSOCK, SOCK_STREAM, 0}) + " " +
             answer(SYS_bpf, {~0UL}) + " " + answer(SYS_swapoff, {~0UL}) + " " + answer(480);
    });
    CHECK(result.text == (capabilities.empty() ? "ok ok EPERM EPERM ENOSYS" : "ok ok EINVAL EPERM ENOSYS"));
  }
}
