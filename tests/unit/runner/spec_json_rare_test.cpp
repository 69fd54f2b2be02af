#include <catch2/catch.hpp>

#include "error_of.h"
#include "process/scheduling.h"
#include "runner/spec.h"

using namespace lay;
using namespace lay::runner;
using lay::test::error_of;

namespace {

/// What few containers have, each member with a value of its own.
Json document() {
  Json json = to_json(default_spec());
  json["domainname"] = "example";
  json["process"].update(Json::parse(R"({
    "apparmorProfile": "profile", "selinuxLabel": "a:b:c",
    "ioPriority": {"class": "IOPRIO_CLASS_IDLE", "priority": 4},
    "scheduler": {"policy": "SCHED_DEADLINE", "flags": ["SCHED_FLAG_RESET_ON_FORK"],
                  "runtime": 1000000, "deadline": 2000000, "period": 3000000},
    "execCPUAffinity": {"initial": "0-1", "final": "1"}})"));
  json["mounts"].push_back(Json::parse(R"({
    "destination": "/data", "type": "bind", "source": "/srv", "options": ["ridmap"],
    "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}],
    "gidMappings": [{"containerID": 0, "hostID": 2000, "size": 10}]})"));
  json["linux"].update(Json::parse(R"({
    "rootfsPropagation": "unbindable", "mountLabel": "x:y:z",
    "personality": {"domain": "LINUX32"},
    "intelRdt": {"closID": "gold", "l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=70",
                 "enableCMT": true, "enableMBM": true}})"));
  json["linux"]["devices"].push_back({{"path", "/dev/fifo"},
                                      {"type", "p"},
                                      {"major", 0},
                                      {"minor", 0},
                                      {"fileMode", 0600},
                                      {"uid", 1},
                                      {"gid", 2}});
  json["linux"]["resources"].update(Json::parse(R"({
    "memory": {"limit": 1000000, "kernel": 5, "kernelTCP": 6, "useHierarchy": true, "checkBeforeUpdate": true},
    "cpu": {"quota": 1000, "burst": 500, "realtimeRuntime": 950000, "realtimePeriod": 1000000, "idle": 1},
    "blockIO": {"weight": 100, "leafWeight": 200,
                "weightDevice": [{"major": 8, "minor": 0, "weight": 10, "leafWeight": 20},
                                 {"major": 8, "minor": 16, "leafWeight": 30}]},
    "network": {"classID": 1048577, "priorities": [{"name": "eth0", "priority": 500}]},
    "rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}, "mlx4_0": {"hcaObjects": 1}}})"));
  return json;
}

void fails(const char* pointer, const Json& value, const char* key) {
  INFO(pointer << " = " << value.dump());
  Json json = document();
  json[Json::json_pointer(pointer)] = value;
  const Error error = error_of([&] { parse_spec(json); });
  CHECK((error.code() == Errc::invalid || error.code() == Errc::unsupported));
  CHECK_THAT(error.message(), Catch::Contains(key));
}

void fails_without(const char* parent, const char* key) {
  INFO(parent << " without " << key);
  Json json = document();
  json[Json::json_pointer(parent)].erase(key);
  CHECK_THAT(error_of([&] { parse_spec(json); }).message(), Catch::Contains(key));
}

}  // namespace

TEST_CASE("the rare parts of the runtime spec are the same after a round trip", "[runner][spec]") {
  const Json json = document();
  CHECK(to_json(parse_spec(json)) == json);
}

TEST_CASE("unknown properties of config.json are passed over, as the runtime spec demands",
          "[runner][spec]") {
  Json json = document();
  for (const char* pointer : {"/planet", "/process/planet", "/linux/planet", "/linux/resources/planet",
                              "/mounts/0/planet", "/process/user/planet", "/windows"})
    json[Json::json_pointer(pointer)] = Json::object({{"a", 1}});
  CHECK(to_json(parse_spec(json)) == document());
}

TEST_CASE("values that the runtime spec does not have are errors that name the key", "[runner][spec]") {
  fails("/process/ioPriority/class", "IOPRIO_CLASS_X", "class");
  fails("/process/ioPriority/priority", 8, "priority");
  fails("/process/scheduler/policy", "SCHED_X", "policy");
  fails("/process/scheduler/flags/0", "SCHED_FLAG_X", "flags");
  fails("/process/scheduler/nice", 20, "nice");
  fails("/process/scheduler/priority", 5, "priority");
  fails("/process/execCPUAffinity/final", "1-", "list of processors");
  fails("/process/apparmorProfile", 1, "apparmorProfile");
  fails("/process/rlimits/0/type", "RLIMIT_X", "RLIMIT_X");
  fails("/process/rlimits/0/soft", 1, "above the hard one");
  fails("/process/rlimits/1", document()["process"]["rlimits"][0], "twice");
  fails("/process/user/umask", -1, "umask");
  fails("/linux/rootfsPropagation", "planet", "rootfsPropagation");
  fails("/linux/personality/domain", "MACOS", "domain");
  fails("/linux/personality/flags", Json::array({"X"}), "flags");
  fails("/linux/intelRdt/closID", "../x", "closID");
  fails("/linux/devices/0/type", "x", "type");
  fails("/linux/devices/0/path", "dev/x", "absolute");
  fails("/linux/resources/cpu/idle", 2, "idle");
  fails("/linux/resources/cpu/burst", -1, "burst");
  fails("/linux/resources/cpu", 1, "cpu");
  fails("/linux/resources/network/classID", 4294967296, "classID");
  fails("/linux/resources/rdma/mlx4_0", Json::object(), "mlx4_0");
  fails("/linux/resources/hugepageLimits/0", Json::object({{"pageSize", "2MiB"}, {"limit", 1}}), "pageSize");
  fails("/linux/resources/blockIO/weight", 1001, "weight");
}

TEST_CASE("what the runtime spec requires is missed by name", "[runner][spec]") {
  fails_without("", "ociVersion");
  fails_without("/process", "cwd");
  fails_without("/process/rlimits/0", "hard");
  fails_without("/process/ioPriority", "class");
  fails_without("/process/scheduler", "policy");
  fails_without("/mounts/0", "destination");
  fails_without("/mounts/7/uidMappings/0", "size");
  fails_without("/linux/namespaces/0", "type");
  fails_without("/linux/devices/0", "major");
  fails_without("/linux/personality", "domain");
  fails_without("/linux/resources/network/priorities/0", "priority");
}

TEST_CASE("a list of processors is read as cpuset(7) has it", "[runner][spec]") {
  const cpu_set_t set = parse_cpu_list("0-2,5");
  CHECK(CPU_COUNT(&set) == 4);
  CHECK(CPU_ISSET(5, &set));
  for (const char* text : {"a", "1-", "3-1", "99999", ",", "1,,2"})
    CHECK(error_of([&] { parse_cpu_list(text); }).code() == Errc::invalid);
}
