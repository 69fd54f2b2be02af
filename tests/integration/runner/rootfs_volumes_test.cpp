#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>

#include "rootfs_fixture.h"

using namespace lay;
using lay::test::ChildResult;
using lay::test::RootfsFixture;

namespace {

int writing_error(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return errno;
  ::close(fd);
  return 0;
}

/// The mount options of the mount at `point`, as mountinfo has them.
std::string options_of(const std::string& point) {
  for (const std::string& line : test::mounts_naming(" " + point + " ")) return split(line, ' ').at(5);
  return "not mounted";
}

}  // namespace

TEST_CASE("a volume is writable, nosuid and nodev, and shares its files with the host", "[runner][rootfs]") {
  RootfsFixture fixture;
  fixture.add_volume("/data");
  const ChildResult result = fixture.enter([] {
    test::put_file(sys::cwd(), "/data/from-inside", "x");
    return options_of("/data");
  });
  CHECK(result.error == "");
  CHECK(result.text == "rw,nosuid,nodev,relatime");
  CHECK(test::text_of(fixture.base(), "volume/from-inside") == "x");
}

TEST_CASE("P07: a read-only volume is read-only with all that is mounted below it", "[runner][rootfs]") {
  RootfsFixture fixture;
  test::put_folder(fixture.base(), "volume/sub");
  fixture.add_volume("/data", {"rbind", "ro"});
  const ChildResult result = test::in_child(RootfsFixture::kNamespaces, [&] {
    ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    ::mount("tmpfs", (fixture.path() + "/volume/sub").c_str(), "tmpfs", 0, nullptr);
    fixture.enter_root();
    return fmt::format("{} {} {}", writing_error("/data/x"), writing_error("/data/sub/x"),
                       options_of("/data/sub"));
  });
  CHECK(result.error == "");
  CHECK(result.text == fmt::format("{} {} ro,nosuid,nodev,relatime", EROFS, EROFS));
}

TEST_CASE("one file can be a volume, and its place is made as a file", "[runner][rootfs]") {
  RootfsFixture fixture;
  test::put_file(fixture.base(), "volume/file", "shared");
  fixture.spec.mounts.push_back({"/opt/app/conf", "bind", fixture.path() + "/volume/file", {"bind", "ro"}});
  const ChildResult result = fixture.enter([] { return test::text_of(sys::cwd(), "/opt/app/conf"); });
  CHECK(result.error == "");
  CHECK(result.text == "shared");
}

TEST_CASE("a volume inside another volume gets its place in that volume", "[runner][rootfs]") {
  RootfsFixture fixture;
  fixture.add_volume("/data");
  fixture.spec.mounts.push_back({"/data/inner", "bind", fixture.path() + "/canary", {"bind"}});
  const ChildResult result = fixture.enter([] { return test::text_of(sys::cwd(), "/data/inner/secret"); });
  CHECK(result.error == "");
  CHECK(result.text == "canary");
  CHECK(sys::try_stat_at(fixture.base(), "volume/inner"));
  CHECK_FALSE(sys::try_stat_at(sys::cwd(), fixture.points().path + "/data/inner"));
}

TEST_CASE("a volume on /etc/hosts takes the place of lay's own file", "[runner][rootfs]") {
  RootfsFixture fixture;
  test::put_file(fixture.base(), "volume/hosts", "the user's");
  fixture.spec.mounts.push_back({"/etc/hosts", "bind", fixture.path() + "/volume/hosts", {"bind"}});
  const ChildResult result = fixture.enter([] { return test::text_of(sys::cwd(), "/etc/hosts"); });
  CHECK(result.error == "");
  CHECK(result.text == "the user's");
}

TEST_CASE("P07: mounts of a container do not reach the host, those of the host reach an rslave volume",
          "[runner][rootfs]") {
  RootfsFixture fixture;
  test::put_folder(fixture.base(), "volume/late");
  const bool is_slave = GENERATE(true, false);
  fixture.add_volume("/data", {"rbind", is_slave ? "rslave" : "rprivate"});
  const std::string late = fixture.path() + "/volume/late";
  // The outer child stands for the host: its tree is shared, as init systems make it.
  const ChildResult result = test::in_child(CLONE_NEWNS, [&] {
    ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    ::mount(fixture.path().c_str(), fixture.path().c_str(), nullptr, MS_BIND, nullptr);
    ::mount(nullptr, fixture.path().c_str(), nullptr, MS_SHARED, nullptr);
    std::array<int, 2> ready{};
    std::array<int, 2> go{};
    if (::pipe2(ready.data(), O_CLOEXEC) < 0 || ::pipe2(go.data(), O_CLOEXEC) < 0)
      return std::string("no pipe");
    const long pid =
        ::syscall(SYS_clone, RootfsFixture::kNamespaces | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
    if (pid == 0) {
      char byte = 'x';
      try {
        fixture.enter_root();
        if (::mount("tmpfs", "/data", "tmpfs", 0, nullptr) < 0 || ::umount2("/data", 0) < 0) ::_exit(9);
        if (::write(ready[1], &byte, 1) != 1 || ::read(go[0], &byte, 1) != 1) ::_exit(9);
        ::_exit(options_of("/data/late") == "not mounted" ? 0 : 1);
      } catch (const std::exception&) {
        ::_exit(9);
      }
    }
    ::close(ready[1]);
    char byte = 'x';
    if (::read(ready[0], &byte, 1) != 1) return std::string("the container did not start");
    ::mount("tmpfs", late.c_str(), "tmpfs", 0, nullptr);
    if (::write(go[1], &byte, 1) != 1) return std::string("the container is gone");
    int status = 0;
    ::waitpid(static_cast<pid_t>(pid), &status, 0);
    ::umount2(late.c_str(), MNT_DETACH);
    return fmt::format("{} {}", WEXITSTATUS(status), test::mounts_naming("points/merged").size());
  });
  CHECK(result.error == "");
  CHECK(result.text == (is_slave ? "1 0" : "0 0"));
}

TEST_CASE("P07: a failed mount names the mount and leaves nothing behind", "[runner][rootfs]") {
  RootfsFixture fixture;
  fixture.spec.mounts.push_back({"/data", "ext4", "/dev/sda", {}});
  const ChildResult result = fixture.enter([] { return std::string(); });
  CHECK(result.error ==
        "mount '/data': file system type 'ext4' cannot be mounted in a container\n"
        "hint: known are bind, proc, sysfs, tmpfs, devpts, mqueue and cgroup");
  CHECK(test::mounts_naming(fixture.path()).empty());
}
