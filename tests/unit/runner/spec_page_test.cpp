#include <array>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "oci/hooks.h"
#include "runner/spec.h"

using namespace lay;
using namespace lay::runner;

namespace {

/// The compiler ran in the build's folder, and so does this test.
std::filesystem::path top_folder() {
  return std::filesystem::path(__FILE__).parent_path() / "../../..";
}

std::vector<std::string> page_lines() {
  std::ifstream file(top_folder() / "docs/runtime-spec.md");
  return split(std::string(std::istreambuf_iterator<char>(file), {}), '\n');
}

/// Something of everything, so that each field has a parent.
Json document() {
  Json json = to_json(default_spec());
  json["process"].update(Json::parse(R"({
    "consoleSize": {}, "ioPriority": {"class": "IOPRIO_CLASS_BE"}, "execCPUAffinity": {},
    "scheduler": {"policy": "SCHED_OTHER"}})"));
  json["hooks"] = Json::parse(R"({"prestart": [{"path": "/bin/true"}]})");
  json["linux"].update(Json::parse(R"({
    "personality": {"domain": "LINUX"}, "intelRdt": {}, "timeOffsets": {"monotonic": {}},
    "uidMappings": [{"containerID": 0, "hostID": 0, "size": 1}],
    "seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
      {"names": ["umask"], "action": "SCMP_ACT_LOG", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}]}})"));
  json["linux"]["resources"].update(Json::parse(R"({
    "memory": {}, "cpu": {}, "pids": {"limit": 1}, "hugepageLimits": [{"pageSize": "2MB", "limit": 1}],
    "network": {"priorities": [{"name": "lo", "priority": 1}]}, "rdma": {"mlx5_1": {"hcaHandles": 1}},
    "blockIO": {"weightDevice": [{"major": 8, "minor": 0, "weight": 10}],
                "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 10}]}})"));
  json["annotations"].erase("dev.lay.seccomp");
  return json;
}

void parse_all(Json json) {
  parse_hooks(json);
  json.erase("hooks");
  parse_spec(json);
}

/// "mounts[].options" as the pointer to the first of them.
Json::json_pointer pointer_to(std::string field) {
  std::string pointer = "/";
  for (std::size_t i = 0; i < field.size(); ++i) {
    if (field[i] == '.')
      pointer += '/';
    else if (field[i] == '[')
      pointer += "/0";
    else if (field[i] != ']')
      pointer += field[i];
  }
  return Json::json_pointer(pointer);
}

/// What stands between the first pair of backquotes of a cell.
std::string quoted(const std::string& cell) {
  const std::vector<std::string> parts = split(cell, '`');
  return parts.size() < 3 ? "" : parts[1];
}

/// Every member of config.json that runtime-spec 1.2 has for Linux, as the page writes it: config.md,
/// config-linux.md and the members of specs-go/config.go. Lists that are alike are written out once.
constexpr std::array kSpecFields{"ociVersion",
                                 "root",
                                 "root.path",
                                 "root.readonly",
                                 "mounts",
                                 "mounts[].destination",
                                 "mounts[].source",
                                 "mounts[].options",
                                 "mounts[].type",
                                 "mounts[].uidMappings",
                                 "mounts[].gidMappings",
                                 "process",
                                 "process.terminal",
                                 "process.consoleSize",
                                 "process.consoleSize.height",
                                 "process.consoleSize.width",
                                 "process.cwd",
                                 "process.env",
                                 "process.args",
                                 "process.rlimits",
                                 "process.rlimits[].type",
                                 "process.rlimits[].soft",
                                 "process.rlimits[].hard",
                                 "process.apparmorProfile",
                                 "process.selinuxLabel",
                                 "process.capabilities",
                                 "process.capabilities.effective",
                                 "process.capabilities.bounding",
                                 "process.capabilities.inheritable",
                                 "process.capabilities.permitted",
                                 "process.capabilities.ambient",
                                 "process.noNewPrivileges",
                                 "process.oomScoreAdj",
                                 "process.scheduler",
                                 "process.scheduler.policy",
                                 "process.scheduler.nice",
                                 "process.scheduler.priority",
                                 "process.scheduler.flags",
                                 "process.scheduler.runtime",
                                 "process.scheduler.deadline",
                                 "process.scheduler.period",
                                 "process.ioPriority",
                                 "process.ioPriority.class",
                                 "process.ioPriority.priority",
                                 "process.execCPUAffinity",
                                 "process.execCPUAffinity.initial",
                                 "process.execCPUAffinity.final",
                                 "process.user",
                                 "process.user.uid",
                                 "process.user.gid",
                                 "process.user.umask",
                                 "process.user.additionalGids",
                                 "hostname",
                                 "domainname",
                                 "hooks",
                                 "hooks.prestart",
                                 "hooks.createRuntime",
                                 "hooks.createContainer",
                                 "hooks.startContainer",
                                 "hooks.poststart",
                                 "hooks.poststop",
                                 "hooks.prestart[].path",
                                 "hooks.prestart[].args",
                                 "hooks.prestart[].env",
                                 "hooks.prestart[].timeout",
                                 "annotations",
                                 "linux",
                                 "linux.namespaces",
                                 "linux.namespaces[].type",
                                 "linux.namespaces[].path",
                                 "linux.uidMappings",
                                 "linux.uidMappings[].containerID",
                                 "linux.uidMappings[].hostID",
                                 "linux.uidMappings[].size",
                                 "linux.gidMappings",
                                 "linux.timeOffsets",
                                 "linux.devices",
                                 "linux.devices[].type",
                                 "linux.devices[].path",
                                 "linux.devices[].major",
                                 "linux.devices[].minor",
                                 "linux.devices[].fileMode",
                                 "linux.devices[].uid",
                                 "linux.devices[].gid",
                                 "linux.cgroupsPath",
                                 "linux.resources",
                                 "linux.resources.devices",
                                 "linux.resources.devices[].allow",
                                 "linux.resources.devices[].type",
                                 "linux.resources.devices[].major",
                                 "linux.resources.devices[].minor",
                                 "linux.resources.devices[].access",
                                 "linux.resources.memory",
                                 "linux.resources.memory.limit",
                                 "linux.resources.memory.reservation",
                                 "linux.resources.memory.swap",
                                 "linux.resources.memory.kernel",
                                 "linux.resources.memory.kernelTCP",
                                 "linux.resources.memory.swappiness",
                                 "linux.resources.memory.disableOOMKiller",
                                 "linux.resources.memory.useHierarchy",
                                 "linux.resources.memory.checkBeforeUpdate",
                                 "linux.resources.cpu",
                                 "linux.resources.cpu.shares",
                                 "linux.resources.cpu.quota",
                                 "linux.resources.cpu.burst",
                                 "linux.resources.cpu.period",
                                 "linux.resources.cpu.realtimeRuntime",
                                 "linux.resources.cpu.realtimePeriod",
                                 "linux.resources.cpu.cpus",
                                 "linux.resources.cpu.mems",
                                 "linux.resources.cpu.idle",
                                 "linux.resources.blockIO",
                                 "linux.resources.blockIO.weight",
                                 "linux.resources.blockIO.leafWeight",
                                 "linux.resources.blockIO.weightDevice",
                                 "linux.resources.blockIO.weightDevice[].major",
                                 "linux.resources.blockIO.weightDevice[].minor",
                                 "linux.resources.blockIO.weightDevice[].weight",
                                 "linux.resources.blockIO.weightDevice[].leafWeight",
                                 "linux.resources.blockIO.throttleReadBpsDevice",
                                 "linux.resources.blockIO.throttleReadBpsDevice[].rate",
                                 "linux.resources.blockIO.throttleWriteBpsDevice",
                                 "linux.resources.blockIO.throttleReadIOPSDevice",
                                 "linux.resources.blockIO.throttleWriteIOPSDevice",
                                 "linux.resources.hugepageLimits",
                                 "linux.resources.hugepageLimits[].pageSize",
                                 "linux.resources.hugepageLimits[].limit",
                                 "linux.resources.network",
                                 "linux.resources.network.classID",
                                 "linux.resources.network.priorities",
                                 "linux.resources.network.priorities[].name",
                                 "linux.resources.network.priorities[].priority",
                                 "linux.resources.pids",
                                 "linux.resources.pids.limit",
                                 "linux.resources.rdma",
                                 "linux.resources.unified",
                                 "linux.intelRdt",
                                 "linux.intelRdt.closID",
                                 "linux.intelRdt.l3CacheSchema",
                                 "linux.intelRdt.memBwSchema",
                                 "linux.intelRdt.enableCMT",
                                 "linux.intelRdt.enableMBM",
                                 "linux.sysctl",
                                 "linux.seccomp",
                                 "linux.seccomp.defaultAction",
                                 "linux.seccomp.defaultErrnoRet",
                                 "linux.seccomp.architectures",
                                 "linux.seccomp.flags",
                                 "linux.seccomp.listenerPath",
                                 "linux.seccomp.listenerMetadata",
                                 "linux.seccomp.syscalls",
                                 "linux.seccomp.syscalls[].names",
                                 "linux.seccomp.syscalls[].action",
                                 "linux.seccomp.syscalls[].errnoRet",
                                 "linux.seccomp.syscalls[].args",
                                 "linux.seccomp.syscalls[].args[].index",
                                 "linux.seccomp.syscalls[].args[].value",
                                 "linux.seccomp.syscalls[].args[].valueTwo",
                                 "linux.seccomp.syscalls[].args[].op",
                                 "linux.rootfsPropagation",
                                 "linux.maskedPaths",
                                 "linux.readonlyPaths",
                                 "linux.mountLabel",
                                 "linux.personality",
                                 "linux.personality.domain",
                                 "linux.personality.flags"};

/// "runner/oci/bundle.cpp" and the like, wherever they stand in `text`.
std::vector<std::string> paths_in(const std::string& text) {
  static const std::regex kPath("(runner|src|base|tests|docs)/[A-Za-z0-9_/.*-]+");
  std::vector<std::string> paths;
  for (std::sregex_iterator match(text.begin(), text.end(), kPath), end; match != end; ++match) {
    std::string path = match->str();
    if (path.find('*') != std::string::npos) path = path.substr(0, path.rfind('/'));
    while (path.ends_with('.')) path.pop_back();
    paths.push_back(std::move(path));
  }
  return paths;
}

}  // namespace

TEST_CASE("docs/runtime-spec.md has every field that the runtime-spec has", "[runner][spec]") {
  std::set<std::string> on_page;
  for (const std::string& line : page_lines())
    if (const std::vector<std::string> cells = split(line, '|'); cells.size() > 3)
      on_page.insert(quoted(cells[1]));
  for (const char* field : kSpecFields) {
    INFO(field);
    CHECK(on_page.contains(field));
  }
}

TEST_CASE("each file that docs/runtime-spec.md speaks of is there", "[runner][spec]") {
  std::size_t paths = 0;
  for (const std::string& line : page_lines())
    for (const std::string& path : paths_in(line)) {
      INFO(line);
      CHECK(std::filesystem::exists(top_folder() / path));
      ++paths;
    }
  CHECK(paths > 190);
}

TEST_CASE("docs/runtime-spec.md names files that there are, and fields that are read", "[runner][spec]") {
  REQUIRE_NOTHROW(parse_all(document()));
  std::size_t fields = 0;
  bool is_field_table = false;
  for (const std::string& line : page_lines()) {
    if (line.starts_with("## ")) is_field_table = line.starts_with("## config");
    const std::vector<std::string> cells = split(line, '|');
    if (cells.size() < 4 || quoted(cells[2]).empty()) continue;
    INFO(line);
    CHECK(std::filesystem::exists(top_folder() / quoted(cells[2])));
    if (!is_field_table) continue;
    Json json = document();
    json[pointer_to(quoted(cells[1]))] = 1.5;  // of no field's type
    CHECK_THROWS_AS(parse_all(json), Error);
    ++fields;
  }
  CHECK(fields > 150);
}
