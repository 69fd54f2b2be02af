#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include <catch2/catch.hpp>
#include <set>
#include <tuple>

#include "base/syscalls.h"
#include "container/log_writer.h"
#include "container_fixture.h"
#include "error_of.h"
#include "runner/ended.h"
#include "runner/lifecycle.h"
#include "skip.h"

using namespace lay;
using lay::test::ContainerFixture;
using lay::test::error_of;

TEST_CASE("a container is found by name, id and the beginning of its id", "[runner][container]") {
  const ContainerFixture fixture;
  auto config = fixture.config({"true"});
  config.name = "web";
  config.id = std::string(63, 'a') + "1";
  fixture.store().create(config);
  config.name = "db";
  config.id = std::string(63, 'a') + "2";
  fixture.store().create(config);
  config.name = "b";
  config.id = std::string(64, 'b');
  fixture.store().create(config);
  CHECK(fixture.store().find("web").config().id.ends_with("1"));
  CHECK(fixture.store().find(std::string(63, 'a') + "2").config().name == "db");
  CHECK(fixture.store().find("bb").config().name == "b");
  CHECK(fixture.store().find("b").config().name == "b");
  CHECK(error_of([&] { fixture.store().find("aa"); }).code() == Errc::invalid);
  for (const char* name : {"none", "", "..", ".names", "../run", "c"})
    CHECK(error_of([&] { fixture.store().find(name); }).code() == Errc::not_found);
  CHECK(fixture.store().list().size() == 3);
}

TEST_CASE("ext4 is told that containers have nothing to do with each other", "[runner][container]") {
  const ContainerFixture fixture;
  const runner::Container container = fixture.store().create(fixture.config({"true"}));
  const UniqueFd containers = sys::open_at(container.dir(), "..", O_RDONLY | O_DIRECTORY);
  struct ::statfs fs = {};
  REQUIRE(::fstatfs(containers.get(), &fs) == 0);
  if (fs.f_type != EXT4_SUPER_MAGIC) SKIP_TEST("the folder of the tests is not on ext4");
  const auto is_spread = [](const UniqueFd& dir) {
    int flags = 0;
    REQUIRE(::ioctl(dir.get(), FS_IOC_GETFLAGS, &flags) == 0);
    return (flags & FS_TOPDIR_FL) != 0;
  };
  CHECK(is_spread(containers));
  CHECK_FALSE(is_spread(sys::open_dir(container.dir(), "upper")));
}

TEST_CASE("a container is read back as it was created", "[runner][container]") {
  const ContainerFixture fixture;
  auto config = fixture.config({"sh", "-c", "true"});
  config.notes = {{"image", "debian:12"}};
  config.network.mode = runner::NetworkMode::bridge;
  config.network.ports = {{"0.0.0.0", 8080, 80, runner::Protocol::tcp}};
  const auto made = fixture.store().create(config);
  const auto found = fixture.store().find(made.config().name);
  CHECK(found.config().id == made.config().id);
  CHECK(found.config().notes == config.notes);
  CHECK(found.config().network.ports == config.network.ports);
  CHECK(runner::to_json(found.config().spec) == runner::to_json(made.config().spec));
  CHECK(found.state().status == runner::Status::created);
}

TEST_CASE("nobody removes a container that is about to be started for the first time",
          "[runner][container]") {
  const ContainerFixture fixture;
  {
    const auto made = fixture.store().create(fixture.config({"true"}));
    const auto seen = fixture.store().list();
    REQUIRE(seen.size() == 1);
    CHECK(error_of([&] { fixture.store().remove(seen.front()); }).code() == Errc::busy);
    CHECK(runner::run_attached(fixture.store(), made).exit_code == 0);
    fixture.store().remove(seen.front());
  }
  std::ignore = fixture.store().create(fixture.config({"true"}));
  const auto left = fixture.store().list();
  REQUIRE(left.size() == 1);
  fixture.store().remove(left.front());
}

TEST_CASE("a container that is removed while it is read keeps its files until then", "[runner][container]") {
  const ContainerFixture fixture;
  const auto made = fixture.store().create(fixture.config({"true"}));
  CHECK(runner::run_attached(fixture.store(), made).exit_code == 0);
  sys::write_all(sys::open_at(made.open_upper(), "file", O_WRONLY | O_CREAT, 0644), "kept");
  {
    const FileLock kept = made.keep_files();
    const auto other = fixture.store().find(made.config().name);
    fixture.store().remove(other);
    CHECK(error_of([&] { fixture.store().find(made.config().name); }).code() == Errc::not_found);
    CHECK(error_of([&] { std::ignore = other.keep_files(); }).code() == Errc::not_found);
    fixture.store().sweep_removed();
    CHECK(sys::try_stat_at(made.open_upper(), "file"));
  }
  fixture.store().sweep_removed();
  CHECK_FALSE(sys::try_stat_at(made.dir(), "upper"));
}

TEST_CASE("a name is given once, and is free again after remove", "[runner][container]") {
  const ContainerFixture fixture;
  auto config = fixture.config({"true"});
  config.name = "web";
  const auto first = fixture.store().create(config);
  const Error error = error_of([&] { fixture.store().create(config); });
  CHECK(error.code() == Errc::busy);
  CHECK(error.message().find("'web' is already in use") != std::string::npos);
  CHECK(error.hint().find("lay rm web") != std::string::npos);
  CHECK(fixture.store().list().size() == 1);
  fixture.store().remove(first);
  CHECK(fixture.store().create(config).config().name == "web");
}

TEST_CASE("what was left behind is removed, and nothing that looks like it", "[runner][container]") {
  const ContainerFixture fixture;
  auto left = fixture.config({"true"});
  left.id = std::string(64, 'a');
  left.name = "left";
  left.auto_remove = true;
  auto kept = fixture.config({"true"});
  kept.name = left.id;  // a name that leads a search for the id astray
  auto running = fixture.config({"true"});
  running.name = "running";
  running.auto_remove = true;
  fixture.store().create(kept).leave_lock_to_other();
  const auto locked = fixture.store().create(running);
  fixture.store().create(left).leave_lock_to_other();
  CHECK(fixture.store().find(left.id).config().name == "left");
  runner::sweep_ended(fixture.store());
  std::set<std::string> names;
  for (const auto& container : fixture.store().list()) names.insert(container.config().name);
  CHECK(names == std::set<std::string>{kept.name, running.name});
}

TEST_CASE("a name is free whose container was left behind, and no other", "[runner][container]") {
  const ContainerFixture fixture;
  auto config = fixture.config({"true"});
  for (const char* name : {"left", "running", "ended"}) {
    config.name = name;
    config.auto_remove = config.name != "ended";
    const auto container = fixture.store().create(config);
    if (config.name != "running") container.leave_lock_to_other();
    runner::sweep_ended_named(fixture.store(), name);
    if (config.name == "left")
      CHECK_NOTHROW(fixture.store().create(config).leave_lock_to_other());
    else
      CHECK(error_of([&] { fixture.store().create(config); }).code() == Errc::busy);
  }
}

TEST_CASE("of many who want a name at once one gets it", "[runner][container]") {
  const ContainerFixture fixture;
  auto config = fixture.config({"true"});
  config.name = "web";
  std::vector<pid_t> pids;
  for (int i = 0; i < 16; ++i) {
    pids.push_back(::fork());
    if (pids.back() > 0) continue;
    try {
      fixture.store().create(config);
      ::_exit(0);
    } catch (const Error& error) {
      ::_exit(error.code() == Errc::busy ? 1 : 2);
    }
  }
  int winners = 0;
  for (const pid_t pid : pids) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    CHECK(WEXITSTATUS(status) <= 1);
    winners += WEXITSTATUS(status) == 0 ? 1 : 0;
  }
  CHECK(winners == 1);
  CHECK(fixture.store().list().size() == 1);
}

TEST_CASE("bad names, ids and layers are refused before anything is made", "[runner][container]") {
  const ContainerFixture fixture;
  const auto refuse = [&](auto&& change) {
    auto config = fixture.config({"true"});
    change(config);
    CHECK(error_of([&] { fixture.store().create(config); }).code() == Errc::invalid);
  };
  refuse([](auto& config) { config.name = "../x"; });
  refuse([](auto& config) { config.name = "-x"; });
  refuse([](auto& config) { config.id = "../x"; });
  refuse([](auto& config) { config.id = std::string(64, 'A'); });
  refuse([](auto& config) { config.lowers.clear(); });
  refuse([](auto& config) { config.lowers = {"relative"}; });
  CHECK(fixture.store().list().empty());
}

TEST_CASE("a damaged container does not hide the others, and its folder can be seen", "[runner][container]") {
  const ContainerFixture fixture;
  const auto good = fixture.store().create(fixture.config({"true"}));
  const auto bad = fixture.store().create(fixture.config({"true"}));
  test::write_text(bad.path() + "/container.json", "{");
  CHECK(fixture.store().list().size() == 1);
  CHECK(error_of([&] { fixture.store().find(bad.config().id); }).code() == Errc::corrupt);
}

TEST_CASE("what a killed create or remove left is swept by the next create", "[runner][container]") {
  const ContainerFixture fixture;
  const std::string containers = fixture.path() + "/root/containers/";
  fixture.store().create(fixture.config({"true"}));  // the first one makes the folder
  std::filesystem::create_directories(containers + ".new-" + std::string(64, 'a') + "/upper");
  std::filesystem::create_directories(containers + ".gone-" + std::string(64, 'b') + "/upper");
  std::filesystem::create_symlink(std::string(64, 'c'), containers + ".names/web");
  auto config = fixture.config({"true"});
  config.name = "web";
  fixture.store().create(config);
  CHECK(test::shell("ls -A " + containers + " | grep -cE 'new|gone'").output == "0\n");
}

TEST_CASE("nobody but root can enter the folders of containers, whatever the umask", "[runner][container]") {
  const mode_t before = ::umask(0);
  const ContainerFixture fixture;
  const auto container = fixture.store().create(fixture.config({"true"}));
  ::umask(before);
  CHECK((sys::stat_at(sys::cwd(), fixture.path() + "/root/containers").st_mode & 07777) == 0700);
  CHECK((sys::stat_of(container.dir()).st_mode & 07777) == 0700);
  CHECK((sys::stat_at(container.dir(), "upper").st_mode & 07777) ==
        (sys::stat_at(sys::cwd(), fixture.layer()).st_mode & 07777));
}

TEST_CASE("a host network takes the network namespace and its sysctls out of the spec",
          "[runner][container]") {
  const ContainerFixture fixture;
  auto config = fixture.config({"true"});
  config.network.mode = runner::NetworkMode::host;
  const auto container = fixture.store().create(config);
  CHECK_FALSE(runner::has_namespace(container.config().spec, runner::NamespaceType::network));
  CHECK(container.config().spec.linux_.sysctl.empty());
}

TEST_CASE("a log never takes more than twice its size, and keeps the newest lines", "[runner][log]") {
  const ContainerFixture fixture;
  const auto container = fixture.store().create(fixture.config({"true"}));
  runner::LogWriter writer(container.dir(), 1000);
  for (int i = 0; i < 200; ++i) writer.write(runner::LogStream::out, "line " + std::to_string(i) + "\n");
  CHECK(sys::stat_at(container.dir(), "log").st_size <= 1000);
  CHECK(sys::stat_at(container.dir(), "log.1").st_size <= 1000);
  std::string text;
  runner::read_log(container, {}, [&](runner::LogStream, const std::string& piece) { text += piece; });
  CHECK(text.ends_with("line 198\nline 199\n"));
  CHECK(text.find("line 0\n") == std::string::npos);
  CHECK(writer.failure().empty());
}

TEST_CASE("the name of a container whose remover was killed is free, and gone with the next create",
          "[runner][container]") {
  const ContainerFixture fixture;
  auto config = fixture.config({"true"});
  config.name = "left";
  std::string path;
  std::string id;
  {
    const auto made = fixture.store().create(config);
    path = made.path();
    id = made.config().id;
  }
  const UniqueFd containers = sys::open_dir(sys::cwd(), path.substr(0, path.rfind('/')));
  sys::rename_at(containers, id, containers, ".gone-" + id);
  config.name = "other";
  fixture.store().create(config);
  CHECK_FALSE(sys::try_stat_at(containers, ".gone-" + id));
  CHECK_FALSE(sys::try_stat_at(containers, ".names/left"));
  CHECK(sys::try_stat_at(containers, ".names/other"));
}
