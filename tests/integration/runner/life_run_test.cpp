#include <catch2/catch.hpp>

#include "container_fixture.h"
#include "error_of.h"

using namespace lay;
using lay::test::ContainerFixture;

TEST_CASE("the command's exit code is the container's", "[runner][life]") {
  const ContainerFixture fixture;
  CHECK(fixture.run(fixture.config({"true"})).status == 0);
  CHECK(fixture.run(fixture.script("exit 3")).status == 3);
  CHECK(fixture.run(fixture.script("sleep 100 & kill -9 $!; wait $!; exit $?")).status == 137);
  CHECK(fixture.leftovers().empty());
}

TEST_CASE("E11: a command that is not in the container is 127, one that cannot be executed 126",
          "[runner][life]") {
  const ContainerFixture fixture;
  const auto missing = fixture.run(fixture.config({"foo"}));
  CHECK(missing.status == 127);
  CHECK(missing.errors.find("command 'foo' not found in the container") == 0);
  CHECK(fixture.run(fixture.config({"/no/such"})).status == 127);
  CHECK(fixture.run(fixture.config({"/etc"})).status == 126);
  CHECK(fixture.run(fixture.config({"/etc/passwd"})).status == 126);

  test::write_text(fixture.layer() + "/bin/script", "#!/no/interpreter\n");
  std::filesystem::permissions(fixture.layer() + "/bin/script", std::filesystem::perms::all);
  const auto script = fixture.run(fixture.config({"script"}));
  CHECK(script.status == 126);
  CHECK(script.errors.find("interpreter") != std::string::npos);
  test::write_text(fixture.layer() + "/bin/text", "nothing to execute");
  std::filesystem::permissions(fixture.layer() + "/bin/text", std::filesystem::perms::all);
  CHECK(fixture.run(fixture.config({"text"})).status == 126);
  CHECK(fixture.leftovers().empty());
}

TEST_CASE("output and errors of the command are passed on, with or without a newline", "[runner][life]") {
  const ContainerFixture fixture;
  const auto result = fixture.run(fixture.script("echo out; printf err >&2; printf end"));
  CHECK(result.output == "out\nend");
  CHECK(result.errors == "err");
}

TEST_CASE("a megabyte of output arrives whole", "[runner][life]") {
  const ContainerFixture fixture;
  const auto result = fixture.run(fixture.script("dd if=/dev/zero bs=1000 count=1000 2>/dev/null; echo x"));
  CHECK(result.output.size() == 1000002);
  CHECK(result.output.ends_with("x\n"));
}

TEST_CASE("a command that closes its output goes on", "[runner][life]") {
  const ContainerFixture fixture;
  const auto result = fixture.run(fixture.script("exec >&- 2>&-; sleep 0.05; exit 4"));
  CHECK(result.status == 4);
}

TEST_CASE("standard input is relayed with -i and empty without", "[runner][life]") {
  const ContainerFixture fixture;
  auto config = fixture.config({"cat"});
  CHECK(fixture.run(config, "hello").output.empty());
  config.open_stdin = true;
  CHECK(fixture.run(config, "hello").output == "hello");
  const std::string large(1'000'000, 'x');
  const bool is_same = fixture.run(config, large).output == large;  // not printed when it differs
  CHECK(is_same);
}

TEST_CASE("the command is process 1, with three descriptors and no host process in sight", "[runner][life]") {
  const ContainerFixture fixture;
  CHECK(fixture.run(fixture.script("echo $$")).output == "1\n");
  CHECK(fixture.run(fixture.config({"cat", "/proc/1/comm"})).output == "cat\n");
  // The fourth is the folder that ls reads.
  CHECK(fixture.run(fixture.config({"ls", "/proc/self/fd"})).output == "0\n1\n2\n3\n");
  CHECK(fixture.run(fixture.script("echo /proc/[0-9]*")).output == "/proc/1\n");
}

TEST_CASE("E02: descriptors that lay inherited do not reach the command", "[runner][life]") {
  const ContainerFixture fixture;
  const auto container = fixture.store().create(fixture.config({"ls", "/proc/self/fd"}));
  const auto result = fixture.capture([&] {
    ::dup2(STDOUT_FILENO, 77);  // without close-on-exec
    return runner::run_attached(fixture.store(), container).exit_code;
  });
  CHECK(result.output == "0\n1\n2\n3\n");
}

TEST_CASE("the command gets the environment of the spec, and HOME and HOSTNAME", "[runner][life]") {
  const ContainerFixture fixture;
  auto config = fixture.config({"env"});
  config.spec.process.env.emplace_back("COLOR=blue and green");
  config.spec.hostname = "box";
  const std::string output = fixture.run(config).output;
  CHECK(output.find("COLOR=blue and green\n") != std::string::npos);
  CHECK(output.find("HOME=/root\n") != std::string::npos);
  CHECK(output.find("HOSTNAME=box\n") != std::string::npos);
  CHECK(fixture.run(fixture.config({"hostname"})).output.size() == 13);
}

TEST_CASE("a user is looked up in the container's own files", "[runner][life]") {
  const ContainerFixture fixture;
  auto config = fixture.script("id -u; id -g; id -G; echo $HOME; echo x >/dev/stdout; pwd");
  config.spec.process.user.username = "app";
  config.spec.process.cwd = "/home/app";
  const auto result = fixture.run(config);
  CHECK(result.errors.empty());
  CHECK(result.output == "1000\n1001\n1001 50\n/home/app\nx\n/home/app\n");
  config.spec.process.user.username = "nobody-here";
  const auto unknown = fixture.run(config);
  CHECK(unknown.status == 125);
  CHECK(unknown.errors.find("user 'nobody-here' is not in the container's /etc/passwd") == 0);
  CHECK(fixture.leftovers().empty());
}

TEST_CASE("a working folder that is missing is made, and never outside", "[runner][life]") {
  const ContainerFixture fixture;
  auto config = fixture.config({"pwd"});
  config.spec.process.cwd = "/srv/a/b";
  CHECK(fixture.run(config).output == "/srv/a/b\n");
  config.spec.process.cwd = "/proc/self/fd/3";
  CHECK(fixture.run(config).status == 125);
  config.spec.process.cwd = "relative";
  CHECK(fixture.run(config).errors.find("not an absolute path") != std::string::npos);
}

TEST_CASE("the umask is 022 whatever lay's own is", "[runner][life]") {
  const ContainerFixture fixture;
  const auto container =
      fixture.store().create(fixture.config({"sh", "-c", "umask; cat /etc/hostname >/dev/null"}));
  const auto result = fixture.capture([&] {
    ::umask(0777);
    return runner::run_attached(fixture.store(), container).exit_code;
  });
  CHECK(result.status == 0);
  CHECK(result.output == "0022\n");
}

TEST_CASE("the rights of the command are the default ones", "[runner][life]") {
  const ContainerFixture fixture;
  // podman's eleven: capabilities(7) numbers 0 1 3 4 5 6 7 8 10 18 31.
  const std::string expected =
      "CapInh:\t0000000000000000\nCapPrm:\t00000000800405fb\nCapEff:\t00000000800405fb\n"
      "CapBnd:\t00000000800405fb\nCapAmb:\t0000000000000000\n";
  CHECK(fixture.run(fixture.config({"grep", "^Cap", "/proc/self/status"})).output == expected);
  CHECK(fixture.run(fixture.config({"grep", "^Seccomp:", "/proc/self/status"})).output == "Seccomp:\t2\n");
  auto config = fixture.config({"grep", "^NoNewPrivs:", "/proc/self/status"});
  CHECK(fixture.run(config).output == "NoNewPrivs:\t0\n");
  config.spec.process.no_new_privileges = true;
  CHECK(fixture.run(config).output == "NoNewPrivs:\t1\n");
}

TEST_CASE("sysctls are set in the container, and refused when they would be the host's", "[runner][life]") {
  const ContainerFixture fixture;
  auto config = fixture.config({"cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start"});
  CHECK(fixture.run(config).output == "0\n");
  config.spec.linux_.sysctl["kernel.core_pattern"] = "|/bin/evil";
  const auto refused = fixture.run(config);
  CHECK(refused.status == 125);
  CHECK(refused.errors.find("'kernel.core_pattern' would change the host") != std::string::npos);
}

TEST_CASE("/etc/hosts, hostname and resolv.conf are lay's, and never part of the upper", "[runner][life]") {
  const ContainerFixture fixture;
  auto config = fixture.script("cat /etc/hostname; grep -c localhost /etc/hosts; test -s /etc/resolv.conf");
  config.spec.hostname = "box";
  const auto container = fixture.store().create(config);
  const auto result = fixture.start(container);
  CHECK(result.status == 0);
  CHECK(result.output == "box\n2\n");
  CHECK(std::filesystem::is_empty(container.path() + "/upper"));
}

TEST_CASE("the upper has the attributes of the image's root", "[runner][life]") {
  const ContainerFixture fixture;
  std::filesystem::permissions(fixture.layer(), std::filesystem::perms(0751));
  REQUIRE(::chown(fixture.layer().c_str(), 7, 8) == 0);
  sys::set_mtime_at(sys::cwd(), fixture.layer(), {.tv_sec = 1234567890, .tv_nsec = 0});
  CHECK(fixture.run(fixture.config({"stat", "-c", "%a %u %g %Y", "/"})).output == "751 7 8 1234567890\n");
}

TEST_CASE("after a failure of any step nothing is left behind", "[runner][life]") {
  const ContainerFixture fixture;
  const auto fails = [&](const runner::ContainerConfig& config) {
    const auto result = fixture.run(config);
    CHECK(result.status == 125);
    CHECK(result.output.empty());
  };
  auto mount = fixture.config({"true"});
  mount.spec.mounts.push_back({"/data", "bind", "/no/such/folder", {"rbind"}});
  fails(mount);
  auto limit = fixture.config({"true"});
  limit.spec.process.rlimits.push_back({"RLIMIT_WRONG", 1, 1});
  fails(limit);
  auto capability = fixture.config({"true"});
  capability.spec.process.capabilities.bounding.emplace_back("CAP_WRONG");
  fails(capability);
  fails(fixture.config({}));
  auto layer = fixture.config({"true"});
  layer.auto_remove = true;
  layer.lowers.emplace_back("/no/such/layer");
  fails(layer);
  CHECK(fixture.leftovers().empty());
  CHECK(fixture.store().list().size() == 3);
  CHECK(fixture.store().list_damaged().size() == 1);  // a limit that there is not cannot be read back
}

TEST_CASE("an auto_remove container is gone after its end", "[runner][life]") {
  const ContainerFixture fixture;
  auto config = fixture.script("exit 5");
  config.auto_remove = true;
  CHECK(fixture.run(config).status == 5);
  CHECK(fixture.store().list().empty());
  CHECK(fixture.leftovers().empty());
}

TEST_CASE("twenty containers at once do not disturb each other", "[runner][life]") {
  const ContainerFixture fixture;
  std::vector<runner::Container> containers;
  for (int i = 0; i < 20; ++i)
    containers.push_back(fixture.store().create(fixture.script("exit " + std::to_string(i))));
  for (const auto& container : containers) runner::run_detached(fixture.store(), container);
  for (int i = 0; i < 20; ++i) CHECK(runner::wait_container(containers[static_cast<std::size_t>(i)]) == i);
  CHECK(fixture.leftovers().empty());
}

TEST_CASE("a network namespace without devices has its loopback up", "[runner][life]") {
  const ContainerFixture fixture;
  CHECK(fixture.run(fixture.config({"cat", "/sys/class/net/lo/flags"})).output ==
        "0x9\n");  // IFF_UP, IFF_LOOPBACK
  CHECK(fixture.run(fixture.config({"ls", "/sys/class/net"})).output == "lo\n");
}
