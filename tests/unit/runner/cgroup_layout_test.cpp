#include <catch2/catch.hpp>

#include "base/error.h"
#include "cgroup/device_rules.h"
#include "cgroup/layout.h"
#include "cgroup/limits.h"
#include "error_of.h"

using namespace lay;
using namespace lay::runner;

TEST_CASE("the hierarchies of a hybrid machine are told apart", "[runner][cgroup]") {
  std::vector<CgroupHierarchy> found =
      parse_proc_cgroup("4:memory:/a/b:c\n2:cpu,cpuacct:/\n1:name=systemd:/\n0::/x\n");
  REQUIRE(found.size() == 4);
  CHECK(found[0].version == CgroupVersion::v1);
  CHECK(found[0].has("memory"));
  CHECK(found[1].controllers == std::vector<std::string>{"cpu", "cpuacct"});
  CHECK(cgroup_folder_name(found[1]) == "cpu,cpuacct");
  CHECK(cgroup_folder_name(found[2]) == "systemd");
  CHECK(found[3].version == CgroupVersion::v2);
  CHECK(cgroup_folder_name(found[3]) == "unified");

  add_mount_points(
      found,
      "34 30 0:31 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
      "35 30 0:32 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 master:1 - cgroup cgroup rw,cpu,cpuacct\n"
      "40 30 0:37 / /with\\040space rw - cgroup2 cgroup2 rw\n"
      "41 30 0:38 / /else rw - cgroup2 cgroup2 rw\nnot a line\n");
  CHECK(found[0].mount_point == "/sys/fs/cgroup/memory");
  CHECK(found[1].mount_point == "/sys/fs/cgroup/cpu,cpuacct");
  CHECK(found[2].mount_point.empty());
  CHECK(found[3].mount_point == "/with space");
}

TEST_CASE("a line of /proc/self/cgroup that is none is refused", "[runner][cgroup]") {
  CHECK(test::error_of([] { parse_proc_cgroup("4:memory\n"); }).code() == Errc::invalid);
  CHECK(parse_proc_cgroup("").empty());
}

TEST_CASE("device rules are written as the devices controller reads them", "[runner][cgroup]") {
  CHECK(format_device_rule({.allow = false}) == "a");
  CHECK(format_device_rule({.allow = true, .type = "c", .major = 1, .minor = 3}) == "c 1:3 rwm");
  CHECK(format_device_rule({.allow = true, .type = "b", .major = 8, .minor = {}, .access = "r"}) ==
        "b 8:* r");
  CHECK(test::error_of([] { format_device_rule({.allow = true, .type = "x\n"}); }).code() == Errc::invalid);
}

TEST_CASE("K10: a device rule that is not about everything never reads as one", "[runner][cgroup]") {
  const auto formatted = [](const std::vector<DeviceRule>& rules) {
    std::vector<std::string> lines;
    for (const DeviceRule& rule : normal_device_rules(rules))
      lines.push_back((rule.allow ? "+" : "-") + format_device_rule(rule));
    return lines;
  };
  using Lines = std::vector<std::string>;
  CHECK(formatted({{.allow = true, .access = "r"}}) == Lines{"-a", "+b *:* r", "+c *:* r"});
  CHECK(formatted({{.allow = true, .major = 1}}) == Lines{"-a", "+b 1:* rwm", "+c 1:* rwm"});
  CHECK(formatted({{.allow = true, .type = "c", .major = 1, .minor = 3}}) == Lines{"-a", "+c 1:3 rwm"});
  CHECK(formatted({{.allow = false}, {.allow = true, .access = "mwr"}}) == Lines{"-a", "+a"});
  const DeviceRule null{.allow = true, .type = "c", .major = 1, .minor = 3};
  const DeviceRule no_null{.allow = false, .type = "c", .major = 1, .minor = 3};
  CHECK(formatted({null, null}) == Lines{"-a", "+c 1:3 rwm"});  // once is enough,
  CHECK(formatted({null, no_null, null}) ==                     // but not when it was taken back
        Lines{"-a", "+c 1:3 rwm", "-c 1:3 rwm", "+c 1:3 rwm"});
  for (const DeviceRule& bad : std::vector<DeviceRule>{{.type = "x"},
                                                       {.type = ""},
                                                       {.access = ""},
                                                       {.access = "rwx"},
                                                       {.access = "rwm\na"},
                                                       {.type = "c", .major = -2},  // -1 is any
                                                       {.type = "c", .major = 1, .minor = 1 << 20}})
    CHECK(test::error_of([&] { normal_device_rules({bad}); }).code() == Errc::invalid);
  CHECK(normal_device_rules({}).empty());
}
