#include "cgroup/limit_journal.h"

#include <catch2/catch.hpp>

using lay::runner::writes_to_restore;
using Writes = std::vector<std::string>;

TEST_CASE("a limit that has not changed is not written back", "[runner][cgroup]") {
  CHECK(writes_to_restore("pids.max", "100", "100").empty());
  CHECK(writes_to_restore("io.max", "", "").empty());
}

TEST_CASE("a limit is written back as it was read, and an empty list as an empty line", "[runner][cgroup]") {
  CHECK(writes_to_restore("cpu.max", "max 100000", "50000 100000") == Writes{"max 100000"});
  CHECK(writes_to_restore("cpuset.cpus", "", "0") == Writes{"\n"});
  CHECK(writes_to_restore("memory.oom_control", "oom_kill_disable 0\nunder_oom 0",
                          "oom_kill_disable 1\nunder_oom 0") == Writes{"0"});
}

TEST_CASE("of a device's lines those come back that were there, and the others go", "[runner][cgroup]") {
  CHECK(writes_to_restore("blkio.throttle.read_bps_device", "7:0 5\n7:1 6", "7:1 9\n7:2 8") ==
        Writes{"7:2 0", "7:0 5", "7:1 6"});
  CHECK(writes_to_restore("io.max", "", "8:0 rbps=1 wbps=max riops=max wiops=max") ==
        Writes{"8:0 rbps=max wbps=max riops=max wiops=max"});
  CHECK(writes_to_restore("io.weight", "default 100", "default 7\n8:0 9") ==
        Writes{"8:0 default", "default 100"});
}
