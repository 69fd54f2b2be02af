#include "runner/processes.h"

#include <catch2/catch.hpp>

#include "base/error.h"

using namespace lay::runner;

namespace {

constexpr const char* kStat =
    "4711 (a) b (c) R 4700 4711 4700 34816 4711 4194560 100 0 0 0 150 50 0 0 20 -5 3 0 1000 8192000 250 "
    "18446744073709551615 1 1";
constexpr const char* kStatus =
    "Name:\ta) b (c\nUid:\t100000\t100033\t100033\t100033\nGid:\t100000\t100034\t100034\t100034\n"
    "NSpid:\t4711\t7\nNSpgid:\t4711\t7\nNSsid:\t4700\t1\nCapEff:\t0000000000000001\nSeccomp:\t2\n";

}  // namespace

TEST_CASE("a process's name may look like the fields behind it", "[runner][top]") {
  const ProcessInfo process = parse_process(kStat, kStatus, 1);
  CHECK(process.name == "a) b (c");
  CHECK(process.state == 'R');
  CHECK(process.host_parent == 4700);
  CHECK(process.nice == -5);
  CHECK(process.threads == 3);
  CHECK(process.processor == std::chrono::seconds(2));
  CHECK(process.started == std::chrono::seconds(10));
  CHECK(process.virtual_bytes == 8192000);
}

TEST_CASE("a process has the container's numbers beside the host's", "[runner][top]") {
  const ProcessInfo process = parse_process(kStat, kStatus, 1);
  CHECK(process.host_pid == 4711);
  CHECK(process.pid == 7);
  CHECK(process.session == 1);
  CHECK(process.host_uid == 100033);
  CHECK(process.real_uid == 100000);
  CHECK(process.seccomp == 2);
  CHECK(capability_names(process.effective) == std::vector<std::string>{"CAP_CHOWN"});
  CHECK(parse_process(kStat, kStatus, 0).pid == 4711);
}

TEST_CASE("what is no status of a process is refused", "[runner][top]") {
  CHECK_THROWS_AS(parse_process("", "", 0), lay::Error);
  CHECK_THROWS_AS(parse_process("1 (sh", "", 0), lay::Error);
  CHECK_THROWS_AS(parse_process("1 (sh) S 1 2 3", "", 0), lay::Error);
}
