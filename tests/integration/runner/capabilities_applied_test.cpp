#include <sys/prctl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <memory>

#include "base/text.h"
#include "error_of.h"
#include "in_child.h"
#include "security/capabilities.h"

using namespace lay;
using namespace lay::runner;
using lay::test::ChildResult;
using lay::test::in_child;

namespace {

/// "CapInh CapPrm CapEff CapBnd CapAmb" of a status file's text, proc(5).
std::string sets_in(const std::string& status) {
  std::vector<std::string> sets;
  for (const std::string& line : split(status, '\n'))
    if (line.starts_with("Cap")) sets.push_back(line.substr(line.find('\t') + 1));
  return join(sets, " ");
}

std::string own_sets() {
  return sets_in(sys::read_all(sys::open_at(sys::cwd(), "/proc/self/status", O_RDONLY), 65536));
}

/// The sets of a program that this process executes.
std::string sets_after_exec() {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> output(::popen("exec cat /proc/self/status", "r"),
                                                               &::pclose);
  std::string text(65536, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), output.get()));
  return sets_in(text);
}

constexpr const char* kNone = "0000000000000000";
constexpr const char* kEleven = "00000000800405fb";

}  // namespace

TEST_CASE("E07: root has the eleven default capabilities and keeps exactly them across exec",
          "[runner][capabilities]") {
  const ChildResult result = in_child(0, [] {
    limit_bounding_set(default_capabilities());
    apply_capabilities(default_capabilities());
    return own_sets() + "\n" + sets_after_exec();
  });
  const std::string expected = fmt::format("{0} {1} {1} {1} {0}", kNone, kEleven);
  CHECK(result.error == "");
  CHECK(result.text == expected + "\n" + expected);
}

TEST_CASE("E07: another user has the capabilities until exec and none after it", "[runner][capabilities]") {
  const ChildResult result = in_child(0, [] {
    limit_bounding_set(default_capabilities());
    if (::setresgid(1000, 1000, 1000) < 0 || ::setresuid(1000, 1000, 1000) < 0)
      return std::string("setuid failed");
    apply_capabilities(default_capabilities());
    return own_sets() + "\n" + sets_after_exec();
  });
  CHECK(result.error == "");
  CHECK(result.text == fmt::format("{0} {1} {1} {1} {0}\n{0} {0} {0} {1} {0}", kNone, kEleven));
}

TEST_CASE("an ambient capability reaches a program of another user", "[runner][capabilities]") {
  const ChildResult result = in_child(0, [] {
    const std::vector<std::string> one{"CAP_NET_BIND_SERVICE"};
    const Capabilities wanted{
        .bounding = one, .effective = one, .permitted = one, .inheritable = one, .ambient = one};
    limit_bounding_set(wanted);
    if (::setresgid(1000, 1000, 1000) < 0 || ::setresuid(1000, 1000, 1000) < 0)
      return std::string("setuid failed");
    apply_capabilities(wanted);
    return sets_after_exec();
  });
  CHECK(result.error == "");
  CHECK(result.text == fmt::format("{0} {0} {0} {0} {0}", "0000000000000400"));
}

TEST_CASE("no capabilities at all can be asked for", "[runner][capabilities]") {
  const ChildResult result = in_child(0, [] {
    limit_bounding_set({});
    apply_capabilities({});
    return own_sets() + "\n" + sets_after_exec();
  });
  const std::string expected = fmt::format("{0} {0} {0} {0} {0}", kNone);
  CHECK(result.error == "");
  CHECK(result.text == expected + "\n" + expected);
}

TEST_CASE("a capability that lay lacks itself is an error that names it", "[runner][capabilities]") {
  const ChildResult result = in_child(0, [] {
    ::prctl(PR_CAPBSET_DROP, 25, 0, 0, 0);
    limit_bounding_set({.bounding = {"CAP_CHOWN", "CAP_SYS_TIME"}});
    return std::string();
  });
  CHECK(result.error ==
        "lay itself lacks CAP_SYS_TIME on this machine\nhint: leave it out, or start lay with more rights");
}
