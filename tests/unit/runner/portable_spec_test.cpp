#include <fcntl.h>

#include <catch2/catch.hpp>

#include "base/syscalls.h"
#include "runner/portable.h"

using namespace lay;
using namespace lay::runner;

namespace {

/// How many rules about `name` hold for a call with this one argument.
std::size_t matching(const Seccomp& seccomp, const std::string& name, std::uint32_t index,
                     std::uint32_t value) {
  std::size_t count = 0;
  for (const SeccompRule& rule : seccomp.syscalls) {
    if (rule.names != std::vector<std::string>{name}) continue;
    bool holds = true;
    for (const SeccompArgument& argument : rule.args)
      if (argument.index == index) holds = holds && (value & argument.value) == argument.value_two;
    if (holds) ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("exactly one rule of the listed profile holds for any request or address family", "[portable]") {
  const Seccomp seccomp = builtin_seccomp({"CAP_AUDIT_WRITE"});
  for (std::uint32_t bit = 1; bit != 0; bit <<= 1)
    for (const std::uint32_t value : {0x5412U, 0x541cU, 0x5413U, 0U}) {
      CHECK(matching(seccomp, "ioctl", 1, value ^ bit) == 1);
      CHECK(matching(seccomp, "ioctl", 1, value) == 1);
      CHECK(matching(seccomp, "socket", 0, value ^ bit) == 1);
    }
  for (std::uint32_t family = 0; family < 64; ++family) CHECK(matching(seccomp, "socket", 0, family) == 1);
}

TEST_CASE("what a capability allows is allowed in the listed profile", "[portable]") {
  const auto allows = [](const Seccomp& seccomp, const std::string& name) {
    const auto& names = seccomp.syscalls.front().names;
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  CHECK(!allows(builtin_seccomp({}), "mount"));
  CHECK(allows(builtin_seccomp({"CAP_SYS_ADMIN"}), "mount"));
  CHECK(!allows(builtin_seccomp({"CAP_SYS_ADMIN"}), "keyctl"));
  CHECK(builtin_seccomp({"CAP_SYS_ADMIN"}).default_errno_ret == 38);
}

TEST_CASE("a portable spec names nothing that is lay's own", "[portable]") {
  const UniqueFd root = sys::open_at(sys::cwd(), "/proc/self/fdinfo", O_PATH | O_DIRECTORY);  // has no /etc
  Spec spec = default_spec();
  spec.process.user.username = "7:8";
  spec.process.env = {"A=b"};
  const Spec portable = make_portable(spec, root);
  CHECK(portable.process.user.uid == 7);
  CHECK(portable.process.user.gid == 8);
  CHECK(portable.process.env == std::vector<std::string>{"A=b", "HOME=/"});
  const Json json = portable_json(portable);
  CHECK(json["annotations"].empty());
  CHECK(json["process"]["user"] == Json{{"uid", 7}, {"gid", 8}, {"additionalGids", {8}}});
  CHECK(json["linux"]["seccomp"]["defaultAction"] == "SCMP_ACT_ERRNO");

  spec.linux_.namespaces.erase(spec.linux_.namespaces.begin() + 1);  // the network's: the host's from now on
  CHECK(make_portable(spec, root).linux_.sysctl.empty());
  spec.linux_.auto_ids = 65536;
  CHECK_THROWS(make_portable(spec, root));
}
