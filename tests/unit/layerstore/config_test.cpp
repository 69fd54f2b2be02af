#include <catch2/catch.hpp>

#include "base/json.h"
#include "error_of.h"
#include "layerstore/image_config.h"

using namespace lay;
using namespace lay::layerstore;
using test::error_of;

namespace {

const std::string kDiffId = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// As docker build writes it, with members that lay does not know.
Json full_config() {
  return parse_json(R"({
    "created": "2026-01-02T03:04:05.678901234Z", "author": "somebody", "architecture": "arm64", "os": "linux",
    "variant": "v8", "os.features": ["f"], "x-vendor": {"deep": [1, 2]},
    "config": {"User": "www-data:www-data", "ExposedPorts": {"80/tcp": {}, "443": {}}, "Env": ["PATH=/bin", "A=b=c"],
      "Entrypoint": ["/entry"], "Cmd": ["run", ""], "Volumes": {"/data": {}}, "WorkingDir": "/srv",
      "Labels": {"l": "v"}, "StopSignal": "SIGQUIT", "Healthcheck": {"Test": ["CMD", "true"]}, "OnBuild": null},
    "rootfs": {"type": "layers", "diff_ids": [")" +
                        kDiffId + R"("]},
    "history": [{"created": "2026-01-02T03:04:05Z", "created_by": "ADD", "x-unknown": true},
                {"created_by": "ENV", "empty_layer": true, "comment": "c", "author": "a"}]})",
                    "test");
}

Errc failure(const char* pointer, const Json& value) {
  Json json = full_config();
  json[Json::json_pointer(pointer)] = value;
  return error_of([&] { parse_image_config(json.dump()); }).code();
}

Errc failure_without(const char* pointer) {
  const Json json = full_config().patch(Json::array({{{"op", "remove"}, {"path", pointer}}}));
  return error_of([&] { parse_image_config(json.dump()); }).code();
}

}  // namespace

TEST_CASE("an image is for the platform that its config says, of any variant", "[layerstore][config]") {
  const ImageConfig config = parse_image_config(full_config().dump());
  CHECK_NOTHROW(require_platform(config, parse_platform("linux/arm64")));
  CHECK_NOTHROW(require_platform({}, parse_platform("linux/s390x")));
  for (const char* other : {"linux/amd64", "windows/arm64"}) {
    const Error error = error_of([&] { require_platform(config, parse_platform(other)); });
    CHECK(error.code() == Errc::unsupported);
    CHECK(error.message().find("linux/arm64/v8") != std::string::npos);
  }
}

TEST_CASE("an image config is read member by member", "[layerstore][config]") {
  const ImageConfig config = parse_image_config(full_config().dump());
  CHECK(config.created == "2026-01-02T03:04:05.678901234Z");
  CHECK(config.author == "somebody");
  CHECK(config.architecture == "arm64");
  CHECK(config.variant == "v8");
  CHECK(config.run.user == "www-data:www-data");
  CHECK(config.run.exposed_ports == std::set<std::string>{"443", "80/tcp"});
  CHECK(config.run.env == std::vector<std::string>{"PATH=/bin", "A=b=c"});
  CHECK(config.run.entrypoint == std::vector<std::string>{"/entry"});
  CHECK(config.run.cmd == std::vector<std::string>{"run", ""});
  CHECK(config.run.volumes == std::set<std::string>{"/data"});
  CHECK(config.run.working_dir == "/srv");
  CHECK(config.run.labels.at("l") == "v");
  CHECK(config.run.stop_signal == "SIGQUIT");
  REQUIRE(config.diff_ids.size() == 1);
  REQUIRE(config.history.size() == 2);
  CHECK(config.history[1].empty_layer);
}

TEST_CASE("members that lay does not know survive a rewrite", "[layerstore][config]") {
  const Json before = full_config();
  ImageConfig config = parse_image_config(before.dump());
  const Json same = Json::parse(write_image_config(config));
  CHECK(same["x-vendor"] == before["x-vendor"]);
  CHECK(same["os.features"] == before["os.features"]);
  CHECK(same["config"] == before["config"]);
  CHECK(same["history"] == before["history"]);

  config.run.cmd = {"other"};
  config.run.user.clear();
  config.run.volumes.clear();
  config.history.push_back({.created_by = "lay commit"});
  const Json after = Json::parse(write_image_config(config));
  CHECK(after["config"]["Healthcheck"] == before["config"]["Healthcheck"]);
  CHECK(after["config"]["Cmd"] == Json::array({"other"}));
  CHECK_FALSE(after["config"].contains("User"));
  CHECK_FALSE(after["config"].contains("Volumes"));
  CHECK(after["history"][0] == before["history"][0]);
  CHECK(after["history"][2] == Json{{"created_by", "lay commit"}});
}

TEST_CASE("a new config holds what the specification requires and nothing empty", "[layerstore][config]") {
  ImageConfig config;
  config.architecture = "amd64";
  config.os = "linux";
  config.diff_ids = {Digest::parse(kDiffId)};
  const Json json = Json::parse(write_image_config(config));
  CHECK(json == Json{{"architecture", "amd64"},
                     {"os", "linux"},
                     {"config", Json::object()},
                     {"history", Json::array()},
                     {"rootfs", {{"type", "layers"}, {"diff_ids", {kDiffId}}}}});
  CHECK(write_image_config(parse_image_config(json.dump())) == json.dump());
}

TEST_CASE("a config whose required members are missing is refused", "[layerstore][config]") {
  for (const char* pointer : {"/architecture", "/os", "/rootfs", "/rootfs/type", "/rootfs/diff_ids"}) {
    CAPTURE(pointer);
    CHECK(failure_without(pointer) == Errc::invalid);
  }
}

TEST_CASE("J12: a config member of the wrong type is refused", "[layerstore][config]") {
  const std::vector<std::pair<const char*, Json>> wrong{{"/config", "text"},
                                                        {"/config", Json::array()},
                                                        {"/config/Env", Json::object()},
                                                        {"/config/Env", "A=b"},
                                                        {"/config/Env", Json::array({7})},
                                                        {"/config/Cmd", "run"},
                                                        {"/config/Cmd", Json::array({Json::array()})},
                                                        {"/config/Entrypoint", 7},
                                                        {"/config/Volumes", Json::array({"/data"})},
                                                        {"/config/Volumes", Json{{"/data", "x"}}},
                                                        {"/config/ExposedPorts", Json::array({"80/tcp"})},
                                                        {"/config/Labels", Json{{"a", 1}}},
                                                        {"/config/User", 1000},
                                                        {"/config/WorkingDir", true},
                                                        {"/config/StopSignal", 9},
                                                        {"/created", 7},
                                                        {"/created", "yesterday"},
                                                        {"/created", "0000-13-45T99:99:99Z"},
                                                        {"/author", Json::array()},
                                                        {"/architecture", 64},
                                                        {"/os", nullptr},
                                                        {"/rootfs", "layers"},
                                                        {"/rootfs/type", "other"},
                                                        {"/rootfs/diff_ids", kDiffId},
                                                        {"/rootfs/diff_ids", nullptr},
                                                        {"/rootfs/diff_ids/0", "sha256:../../x"},
                                                        {"/rootfs/diff_ids/0", 7},
                                                        {"/history", Json::object()},
                                                        {"/history/0", "text"},
                                                        {"/history/0/created", "now"},
                                                        {"/history/0/created_by", 7},
                                                        {"/history/0/empty_layer", "yes"}};
  for (const auto& [pointer, value] : wrong) {
    CAPTURE(pointer, value.dump());
    CHECK(failure(pointer, value) == Errc::invalid);
  }
}

TEST_CASE("a NUL in what reaches execve or a path is refused", "[layerstore][config]") {
  const std::string nul("a\0b", 3);
  for (const char* pointer : {"/config/Env/0", "/config/Cmd/0", "/config/Entrypoint/0", "/config/User",
                              "/config/WorkingDir", "/config/StopSignal"}) {
    CAPTURE(pointer);
    CHECK(failure(pointer, nul) == Errc::invalid);
  }
  CHECK(failure("/config/Volumes", Json{{nul, Json::object()}}) == Errc::invalid);
}

TEST_CASE("J12: absurdly long lists are refused", "[layerstore][config]") {
  CHECK(failure("/config/Env", Json(std::vector<std::string>(100'000, "A=b"))) == Errc::invalid);
  CHECK(failure("/rootfs/diff_ids", Json(std::vector<std::string>(1001, kDiffId))) == Errc::invalid);
}

TEST_CASE("null stands for an absent member, as Go programs write it", "[layerstore][config]") {
  Json json = full_config();
  for (const char* key : {"Env", "Cmd", "Entrypoint", "Volumes", "Labels", "ExposedPorts"})
    json["config"][key] = nullptr;
  json["history"] = nullptr;
  const ImageConfig config = parse_image_config(json.dump());
  CHECK(config.run.env.empty());
  CHECK(config.run.volumes.empty());
  CHECK(config.history.empty());
}
