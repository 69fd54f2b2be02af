#include <catch2/catch.hpp>

#include "error_of.h"
#include "runner/spec.h"

using namespace lay;
using namespace lay::runner;
using lay::test::error_of;

namespace {

Spec full_spec() {
  Spec spec = default_spec();
  spec.process = {.terminal = true,
                  .console_size = {.height = 24, .width = 80},
                  .user = {.uid = 1, .gid = 2, .additional_gids = {3, 4}, .umask = 027, .username = "app"},
                  .args = {"sh", "-c", "true"},
                  .env = {"A=b"},
                  .cwd = "/srv",
                  .capabilities = {.bounding = {"CAP_CHOWN"}, .ambient = {"CAP_KILL"}},
                  .rlimits = {{"RLIMIT_NOFILE", UINT64_MAX, 1024}},
                  .no_new_privileges = true};
  spec.root = {.path = "merged", .readonly = true};
  spec.hostname = "box";
  spec.annotations = {{"org.example", "x"}};
  spec.linux_.cgroups_path = "/lay/x";
  spec.linux_.resources.memory_limit = 1 << 20;
  spec.linux_.resources.memory_swap = -1;
  spec.linux_.resources.cpu_quota = 50000;
  spec.linux_.resources.cpu_period = 100000;
  spec.linux_.resources.pids_limit = 7;
  spec.linux_.resources.memory_swappiness = 10;
  spec.linux_.resources.disable_oom_killer = true;
  spec.linux_.resources.block_io = {.weight = 100,
                                    .weights = {{8, 0, 200}},
                                    .read_bytes = {{8, 0, 1000}},
                                    .write_operations = {{8, 16, 5}}};
  spec.linux_.resources.hugepages = {{"2MB", 64 << 20}};
  spec.linux_.resources.unified = {{"memory.high", "1m"}};
  spec.linux_.seccomp = SeccompProfile::unconfined;
  return spec;
}

Json document() {
  return to_json(full_spec());
}

}  // namespace

TEST_CASE("a spec is the same after a round trip through config.json", "[runner][spec]") {
  const Json json = document();
  CHECK(to_json(parse_spec(json)) == json);
  const Json defaults = to_json(default_spec());
  CHECK(to_json(parse_spec(defaults)) == defaults);
}

TEST_CASE("config.json has the names of the runtime spec", "[runner][spec]") {
  const Json json = document();
  CHECK(json["ociVersion"] == "1.2.0");
  CHECK(json["process"]["noNewPrivileges"] == true);
  CHECK(json["process"]["user"]["additionalGids"] == Json::array({3, 4}));
  CHECK(json["process"]["rlimits"][0]["hard"] == UINT64_MAX);
  CHECK(json["linux"]["resources"]["memory"]["limit"] == 1 << 20);
  CHECK(json["linux"]["resources"]["pids"]["limit"] == 7);
  CHECK(json["linux"]["resources"]["memory"]["disableOOMKiller"] == true);
  CHECK(json["linux"]["resources"]["blockIO"]["throttleReadBpsDevice"][0]["rate"] == 1000);
  CHECK(json["linux"]["resources"]["blockIO"]["weightDevice"][0]["weight"] == 200);
  CHECK(json["linux"]["resources"]["hugepageLimits"][0]["pageSize"] == "2MB");
  CHECK(json["linux"]["resources"]["unified"]["memory.high"] == "1m");
  CHECK(json["linux"]["maskedPaths"].size() == default_spec().linux_.masked_paths.size());
  CHECK(json["annotations"]["dev.lay.seccomp"] == "unconfined");
}

TEST_CASE("the defaults shut out all devices but the ordinary ones", "[runner][spec]") {
  const Spec spec = default_spec();
  CHECK_FALSE(spec.linux_.resources.devices.front().allow);
  for (const DeviceRule& rule : spec.linux_.resources.devices)
    if (rule.allow) CHECK(rule.major.has_value());
  for (const NamespaceType type : {NamespaceType::pid, NamespaceType::network, NamespaceType::mount,
                                   NamespaceType::ipc, NamespaceType::uts, NamespaceType::cgroup})
    CHECK(has_namespace(spec, type));
  CHECK_FALSE(has_namespace(spec, NamespaceType::user));
}

TEST_CASE("a value of the wrong type names its key", "[runner][spec]") {
  const auto fails = [](const char* pointer, const Json& value, const char* key) {
    Json json = document();
    json[Json::json_pointer(pointer)] = value;
    const Error error = error_of([&] { parse_spec(json); });
    CHECK(error.code() == Errc::invalid);
    CHECK(error.message().find(key) != std::string::npos);
  };
  fails("/process/args", "sh", "args");
  fails("/process/user/uid", -1, "uid");
  fails("/process/user/uid", 4294967296, "uid");
  fails("/process/user/additionalGids/0", "0", "additionalGids");
  fails("/process/terminal", 1, "terminal");
  fails("/linux/resources/memory/limit", 1.5, "limit");
  fails("/linux/namespaces/0/type", "planet", "planet");
  fails("/linux/sysctl", Json::array({"a"}), "sysctl");
  fails("/annotations/dev.lay.seccomp", "none", "none");
  fails("/mounts/0/destination", 5, "destination");
}

TEST_CASE("rules of system calls stand in config.json as the runtime spec has them", "[runner][spec]") {
  Spec spec = full_spec();
  spec.linux_.seccomp = SeccompProfile::listed;
  spec.linux_.seccomp_rules = {
      .default_action = SeccompAction::error,
      .default_errno_ret = 5,
      .architectures = {"SCMP_ARCH_X86"},
      .flags = {"SECCOMP_FILTER_FLAG_LOG"},
      .syscalls = {{.names = {"umask"}, .action = SeccompAction::trap, .args = {{.index = 1}}}}};
  Json json = to_json(spec);
  CHECK(json["linux"]["seccomp"]["syscalls"][0]["args"][0]["op"] == "SCMP_CMP_EQ");
  CHECK(to_json(parse_spec(json)) == json);
  json["annotations"].erase("dev.lay.seccomp");  // as others write it
  CHECK(parse_spec(json).linux_.seccomp == SeccompProfile::listed);
  json["annotations"]["dev.lay.seccomp"] = "builtin";
  CHECK(error_of([&] { parse_spec(json); }).code() == Errc::invalid);
  json["linux"]["seccomp"]["syscalls"][0]["action"] = "none";
  CHECK_THAT(error_of([&] { parse_spec(json); }).message(),
             Catch::Contains("seccomp: entry 0 of 'syscalls'"));
}

TEST_CASE("what lay cannot do is refused, not dropped", "[runner][spec]") {
  Json json = document();
  json["hooks"]["poststop"] = "x";
  CHECK(error_of([&] { parse_spec(json); }).code() == Errc::unsupported);
  json.erase("hooks");
  json["ociVersion"] = "2.0.0";
  CHECK(error_of([&] { parse_spec(json); }).code() == Errc::unsupported);
}
