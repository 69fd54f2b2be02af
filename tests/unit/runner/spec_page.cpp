#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>

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

}  // namespace

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
