#include "plan/container_plan.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "plan/host_config.h"

using namespace lay;
using namespace lay::cli;

namespace {

layerstore::ImageConfig image() {
  layerstore::ImageConfig config;
  config.run.entrypoint = {"/entry"};
  config.run.cmd = {"serve", "--all"};
  config.run.env = {"PATH=/bin", "LANG=C", "broken"};
  config.run.user = "www-data";
  config.run.working_dir = "/srv";
  config.run.labels = {{"a", "image"}, {"b", "image"}};
  config.run.stop_signal = "SIGWINCH";
  return config;
}

std::vector<std::string> arguments(const RunOptions& options) {
  return plan_container(image(), options).spec.process.args;
}

bool has(const std::vector<std::string>& list, const std::string& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

}  // namespace

TEST_CASE("image and flags give the command that docker would run", "[cli][plan]") {
  using List = std::vector<std::string>;
  CHECK(arguments({}) == List{"/entry", "serve", "--all"});
  CHECK(arguments({.command = {"x", "y"}}) == List{"/entry", "x", "y"});
  CHECK(arguments({.entrypoint = "/other"}) == List{"/other"});
  CHECK(arguments({.command = {"x"}, .entrypoint = "/other"}) == List{"/other", "x"});
  CHECK(arguments({.command = {"x"}, .entrypoint = ""}) == List{"x"});
  CHECK(arguments({.command = {"x"}, .entrypoint = R"(["/other","-v"])"}) == List{"/other", "-v", "x"});
  CHECK_THROWS_WITH(plan_container({}, {}), "no command: the image has none and none was given");
}

TEST_CASE("the environment is defaults, then image, then flags", "[cli][plan]") {
  const auto env =
      plan_container(image(), {.environment = {.settings = {"LANG=de_DE", "EXTRA=1=2"}}}).spec.process.env;
  CHECK(has(env, "PATH=/bin"));
  CHECK(has(env, "LANG=de_DE"));
  CHECK(has(env, "EXTRA=1=2"));
  CHECK_FALSE(has(env, "LANG=C"));
  CHECK_FALSE(has(env, "broken"));
  CHECK_FALSE(has(env, "TERM=xterm"));
  CHECK(has(plan_container(image(), {.terminal = true}).spec.process.env, "TERM=xterm"));
}

TEST_CASE("inspect tells how a container is held", "[cli][inspect]") {
  RunOptions options;
  options.resources.memory.emplace("64m");
  options.resources.cpus = 1.5;
  options.ports = {"127.0.0.1:8080:80"};
  options.mounts.volumes = {"/srv:/data:ro"};
  options.auto_remove = true;
  options.isolation.cap_add = {"SYS_TIME"};
  const runner::ContainerConfig config = plan_container(image(), options);
  const Json json = host_config_json(config);
  CHECK(json["Memory"] == 64 << 20);
  CHECK(json["NanoCpus"] == 1'500'000'000);
  CHECK(json["PidsLimit"] == 2048);
  CHECK(json["AutoRemove"] == true);
  CHECK(json["Privileged"] == false);
  CHECK(json["NetworkMode"] == "bridge");
  CHECK(json["RestartPolicy"]["Name"] == "no");
  CHECK(json["CapAdd"] == Json{"SYS_TIME"});
  CHECK(json["Binds"] == Json{"/srv:/data:ro"});
  CHECK(json["PortBindings"]["80/tcp"] == Json{{{"HostIp", "127.0.0.1"}, {"HostPort", "8080"}}});
  const Json mounts = mounts_json(config.spec);
  REQUIRE(mounts.size() == 1);
  CHECK(mounts[0]["Type"] == "bind");
  CHECK(mounts[0]["Source"] == "/srv");
  CHECK(mounts[0]["Destination"] == "/data");
  CHECK(mounts[0]["RW"] == false);

  RunOptions privileged;
  privileged.isolation.privileged = true;
  CHECK(host_config_json(plan_container(image(), privileged))["Privileged"] == true);
  CHECK(host_config_json(plan_container(image(), {}))["Memory"] == 0);
}

TEST_CASE("inspect tells the entrypoint apart from what it gets", "[cli][inspect]") {
  const auto split_of = [](const RunOptions& options) {
    const Json json = config_json(plan_container(image(), options));
    return Json{json.at("Entrypoint"), json.at("Cmd")};
  };
  CHECK(split_of({}) == parse_json(R"([["/entry"], ["serve", "--all"]])", "test"));
  CHECK(split_of({.command = {"x"}}) == parse_json(R"([["/entry"], ["x"]])", "test"));
  CHECK(split_of({.command = {"x"}, .entrypoint = ""}) == parse_json(R"([null, ["x"]])", "test"));
  CHECK(split_of({.entrypoint = R"(["/a", "b"])"}) == parse_json(R"([["/a", "b"], null])", "test"));

  runner::ContainerConfig of_before = plan_container(image(), {});
  of_before.notes.clear();
  CHECK(config_json(of_before)["Cmd"] == Json{"/entry", "serve", "--all"});
  CHECK(config_json(of_before)["Entrypoint"] == nullptr);
}

TEST_CASE("inspect names the ports that are exposed or published, and the volumes", "[cli][inspect]") {
  const auto config_of = [](const RunOptions& options) {
    layerstore::ImageConfig with_port = image();
    with_port.run.exposed_ports = {"80/tcp"};
    return config_json(plan_container(with_port, options));
  };
  RunOptions options;
  options.ports = {"8080:443"};
  options.network_flags.expose = {"53-54/udp"};
  options.mounts.volumes = {"/srv:/data"};
  const Json json = config_of(options);
  CHECK(json["ExposedPorts"] == parse_json(R"({"80/tcp":{},"443/tcp":{},"53/udp":{},"54/udp":{}})", "test"));
  CHECK(json["Volumes"] == parse_json(R"({"/data":{}})", "test"));
  CHECK(config_json(plan_container(image(), {}))["ExposedPorts"] == nullptr);
  CHECK(config_json(plan_container(image(), {}))["Volumes"] == nullptr);
}

TEST_CASE("user, folder, labels and stop signal come from the image unless a flag says otherwise",
          "[cli][plan]") {
  const auto plain = plan_container(image(), {});
  CHECK(plain.spec.process.user.username == "www-data");
  CHECK(plain.spec.process.cwd == "/srv");
  CHECK(plain.stop_signal == "SIGWINCH");
  const auto changed = plan_container(image(), {.notes = {.labels = {"b=flag"}},
                                                .workdir = "/tmp",
                                                .user = "0:0",
                                                .stop_signal = "SIGINT",
                                                .stop_timeout = 3});
  CHECK(changed.spec.process.user.username == "0:0");
  CHECK(changed.spec.process.cwd == "/tmp");
  CHECK(changed.labels == std::map<std::string, std::string>{{"a", "image"}, {"b", "flag"}});
  CHECK(changed.stop_signal == "SIGINT");
  CHECK(changed.stop_timeout == 3);
}

TEST_CASE("limits become numbers of the runtime spec", "[cli][plan]") {
  const auto resources =
      plan_container(image(), {.resources = {.memory = "256m", .cpus = 1.5, .pids_limit = 100}})
          .spec.linux_.resources;
  CHECK(resources.memory_limit == 256 << 20);
  CHECK(resources.memory_swap == 512 << 20);
  CHECK(resources.cpu_quota == 150'000);
  CHECK(resources.cpu_period == 100'000);
  CHECK(resources.pids_limit == 100);
  CHECK(plan_container(image(), {}).spec.linux_.resources.pids_limit == 2048);
  CHECK(plan_container(image(), {.resources = {.pids_limit = -1}}).spec.linux_.resources.pids_limit == -1);
  for (const char* bad : {"", "lots", "1m", "-1"})
    CHECK_THROWS_AS(plan_container(image(), {.resources = {.memory = bad}}), Error);
  for (const double bad : {0.001, -1.0, 1e9})
    CHECK_THROWS_AS(plan_container(image(), {.resources = {.cpus = bad}}), Error);
}

TEST_CASE("ports need a network of their own", "[cli][plan]") {
  CHECK(plan_container(image(), {.ports = {"8080:80"}}).network.ports.size() == 1);
  CHECK_THROWS_AS(plan_container(image(), {.ports = {"8080:80"}, .networks = {"host"}}), Error);
  CHECK_THROWS_AS(plan_container(image(), {.ports = {"8080:80"}, .networks = {"none"}}), Error);
  const auto host = plan_container(image(), {.networks = {"host"}});
  CHECK_FALSE(runner::has_namespace(host.spec, runner::NamespaceType::network));
  CHECK(runner::has_namespace(plan_container(image(), {}).spec, runner::NamespaceType::network));
}

TEST_CASE("volumes are absolute, private, and without device files", "[cli][plan]") {
  const runner::Mount mount = parse_volume("/data:/inside:ro");
  CHECK(mount.source == "/data");
  CHECK(mount.destination == "/inside");
  for (const char* option : {"rbind", "rprivate", "nosuid", "nodev", "ro"}) CHECK(has(mount.options, option));
  CHECK_FALSE(has(parse_volume("/data:/inside").options, "ro"));
  CHECK(parse_volume("/data:/inside:ro,Z").options == mount.options);
  CHECK(parse_volume("/data:/inside:z").options == parse_volume("/data:/inside").options);
  CHECK(parse_volume("./x/../y:/inside").source.ends_with("/y"));
  for (const char* bad : {"", "/a", "/a:", "/a:b", ":/b", "/a:/b:wo", "/a:/b:ro:rw", "name:/b"}) {
    INFO(bad);
    CHECK_THROWS_AS(parse_volume(bad), Error);
  }
}

TEST_CASE("a host name that could break a file is refused", "[cli][plan]") {
  CHECK(plan_container(image(), {.hostname = "web-1.example"}).spec.hostname == "web-1.example");
  for (const char* bad : {"a b", "a\nb", "-x", "a/b"})
    CHECK_THROWS_AS(plan_container(image(), {.hostname = bad}), Error);
}
