#include "flags/namespace_flags.h"

#include <catch2/catch.hpp>

#include "base/error.h"

using namespace lay;
using namespace lay::cli;
using runner::NamespaceType;

namespace {

runner::ContainerConfig apply(const NamespaceFlags& flags) {
  runner::ContainerConfig config;
  config.spec = runner::default_spec();
  flags.apply(config);
  return config;
}

std::vector<std::string> mounted_at(const runner::ContainerConfig& config, const std::string& path) {
  std::vector<std::string> types;
  for (const runner::Mount& mount : config.spec.mounts)
    if (mount.destination == path) types.push_back(mount.type);
  return types;
}

}  // namespace

TEST_CASE("a namespace of the host is one that is not in the spec", "[cli][namespaces]") {
  const auto config = apply({.pid = "host", .ipc = "host", .uts = "host", .cgroupns = "host"});
  for (const auto type : {NamespaceType::pid, NamespaceType::ipc, NamespaceType::uts, NamespaceType::cgroup})
    CHECK_FALSE(runner::has_namespace(config.spec, type));
  CHECK(mounted_at(config, "/dev/shm") == std::vector<std::string>{"bind"});
  CHECK(mounted_at(config, "/sys/fs/cgroup") == std::vector<std::string>{"bind"});
  CHECK(mounted_at(apply({.ipc = "none"}), "/dev/shm").empty());
  CHECK_FALSE(apply({.ipc = "private"}).shares_ipc);
  CHECK(apply({.ipc = "shareable"}).shares_ipc);
}

TEST_CASE("namespaces are joined by container or by path", "[cli][namespaces]") {
  const auto config = apply({.pid = "container:db", .ipc = "ns:/proc/7/ns/ipc"});
  CHECK(config.joined == std::map<NamespaceType, std::string>{{NamespaceType::pid, "db"}});
  CHECK_FALSE(runner::has_own_namespace(config.spec, NamespaceType::ipc));
  CHECK_THROWS_AS(apply({.pid = "container:"}), Error);
  CHECK_THROWS_AS(apply({.uts = "ns:"}), Error);
  CHECK_THROWS_AS(apply({.userns = "container:"}), Error);
  CHECK_THROWS_AS(apply({.userns = "ns:"}), Error);
  CHECK(apply({.userns = "container:x", .cgroupns = "container:y"}).joined ==
        std::map<NamespaceType, std::string>{{NamespaceType::user, "x"}, {NamespaceType::cgroup, "y"}});
  CHECK_THROWS_AS(apply({.ipc = "shared"}), Error);
}

TEST_CASE("--userns takes auto, a size, and maps for users, groups or both", "[cli][namespaces]") {
  CHECK_FALSE(runner::has_namespace(apply({.userns = "host"}).spec, NamespaceType::user));
  CHECK(apply({.userns = "auto"}).spec.linux_.auto_ids == 65536U);
  CHECK(apply({.userns = "auto:size=1000"}).spec.linux_.auto_ids == 1000U);
  const auto both = apply({.userns = "0:100000:65536"}).spec.linux_;
  CHECK(both.uid_mappings == std::vector<runner::IdMapping>{{0, 100000, 65536}});
  CHECK(both.gid_mappings == both.uid_mappings);
  const auto apart = apply({.userns = "uid:0:1:2,gid:0:3:4,gid:4:9:1"}).spec.linux_;
  CHECK(apart.uid_mappings == std::vector<runner::IdMapping>{{0, 1, 2}});
  CHECK(apart.gid_mappings == std::vector<runner::IdMapping>{{0, 3, 4}, {4, 9, 1}});
  CHECK(apply({.gid_maps = {"0:5:6"}}).spec.linux_.uid_mappings == std::vector<runner::IdMapping>{{0, 5, 6}});
  for (const char* bad :
       {"auto:", "auto:size=0", "auto:size=x", "0:1", "0:1:2:3", "a:1:2", "keep-id", "uid:"})
    CHECK_THROWS_AS(apply({.userns = bad}), Error);
  CHECK_THROWS_AS(apply({.userns = "auto", .uid_maps = {"0:1:2"}}), Error);
}

TEST_CASE("K13: offsets of clocks are signed, with fractions and units", "[cli][namespaces]") {
  using Offset = runner::TimeOffset;
  CHECK(parse_time_offset("+3600s") == Offset{3600, 0});
  CHECK(parse_time_offset("90") == Offset{90, 0});
  CHECK(parse_time_offset("-2d") == Offset{-172800, 0});
  CHECK(parse_time_offset("1.5h") == Offset{5400, 0});
  CHECK(parse_time_offset("-0.25s") == Offset{-1, 750000000});
  for (const char* bad : {"", "+", "s", "1.", "1x", "--1", "1e3", "99999999999"})
    CHECK_THROWS_AS(parse_time_offset(bad), Error);
  CHECK_THROWS_AS(apply({.time = "realtime=1s"}), Error);
  CHECK(apply({.time = "monotonic=1s,boottime=2s"}).spec.linux_.time_offsets.size() == 2);
}

TEST_CASE("namespaces, maps and offsets survive config.json", "[cli][namespaces]") {
  const auto spec =
      apply({.userns = "uid:0:1:2,gid:0:3:4", .ipc = "ns:/proc/7/ns/ipc", .time = "monotonic=-1.5s"}).spec;
  const auto read = runner::parse_spec(runner::to_json(spec));
  CHECK(read.linux_.uid_mappings == spec.linux_.uid_mappings);
  CHECK(read.linux_.gid_mappings == spec.linux_.gid_mappings);
  CHECK(read.linux_.time_offsets == spec.linux_.time_offsets);
  CHECK_FALSE(runner::has_own_namespace(read, NamespaceType::ipc));
  CHECK(runner::parse_spec(runner::to_json(apply({.userns = "auto:size=9"}).spec)).linux_.auto_ids == 9U);
}
