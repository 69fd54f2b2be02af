#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>
#include <filesystem>

#include "base/folder_names.h"
#include "rootfs_fixture.h"

using namespace lay;
using lay::test::ChildResult;
using lay::test::RootfsFixture;

namespace {

std::string read_path(const std::string& path) {
  return test::text_of(sys::cwd(), path);
}

/// errno of creating a file at `path`; 0 when that works.
int creation_error(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return errno;
  ::close(fd);
  return 0;
}

/// "<mount point> <options> <type>" of each mount, in order.
std::vector<std::string> mount_table() {
  std::vector<std::string> table;
  for (const std::string& line : split(read_path("/proc/self/mountinfo"), '\n')) {
    const std::vector<std::string> fields = split(line, ' ');
    if (fields.size() > 8) table.push_back(fields[4] + " " + fields[5] + " " + fields[fields.size() - 3]);
  }
  return table;
}

bool contains(const std::vector<std::string>& list, const std::string& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

}  // namespace

TEST_CASE("a container finds the mounts of the default spec and nothing else", "[runner][rootfs]") {
  const RootfsFixture fixture;
  const ChildResult result = fixture.enter([] { return join(mount_table(), "\n"); });
  REQUIRE(result.error == "");
  const std::vector<std::string> table = split(result.text, '\n');
  CHECK(contains(table, "/ rw,nodev,relatime overlay"));
  CHECK(contains(table, "/proc rw,nosuid,nodev,noexec,relatime proc"));
  CHECK(contains(table, "/dev rw,nosuid tmpfs"));
  CHECK(contains(table, "/dev/pts rw,nosuid,noexec,relatime devpts"));
  CHECK(contains(table, "/dev/shm rw,nosuid,nodev,noexec,relatime tmpfs"));
  CHECK(contains(table, "/dev/mqueue rw,nosuid,nodev,noexec,relatime mqueue"));
  CHECK(contains(table, "/sys ro,nosuid,nodev,noexec,relatime sysfs"));
  CHECK(contains(table, "/etc/hosts rw,nosuid,nodev,noexec,relatime ext4"));
  CHECK(contains(table, "/proc/sys ro,nosuid,nodev,noexec,relatime proc"));
  CHECK(contains(table, "/proc/interrupts rw,nosuid tmpfs"));
}

TEST_CASE("P08: the host's paths do not show in a container's mountinfo, but for the sources of its files",
          "[runner][rootfs]") {
  const RootfsFixture fixture;
  const ChildResult result = fixture.enter([&] {
    std::string lines;
    for (const std::string& line : test::mounts_naming(fixture.path()))
      if (line.find("/container/host") == std::string::npos &&
          line.find("/container/resolv") == std::string::npos)
        lines += line + "\n";
    return lines;
  });
  CHECK(result.error == "");
  CHECK(result.text == "");
}

TEST_CASE("P07: nothing is mounted on the host after a container was entered", "[runner][rootfs]") {
  const RootfsFixture fixture;
  CHECK(fixture.enter([] { return std::string("in"); }).text == "in");
  CHECK(test::mounts_naming(fixture.path()).empty());
}

TEST_CASE("missing mount points come from a layer of their own and leave the upper empty",
          "[runner][rootfs]") {
  RootfsFixture fixture;
  const UniqueFd layer = fixture.layer();
  sys::unlink_at(layer, "proc", AT_REMOVEDIR);
  const timespec before{.tv_sec = 1'000'000'000, .tv_nsec = 7};
  sys::set_mtime_at(layer, "etc", before);
  fixture.add_volume("/srv/data/deep");
  const ChildResult result = fixture.enter([] {
    const struct ::stat etc = sys::stat_at(sys::cwd(), "/etc");
    return fmt::format("{} {}.{}", read_path("/etc/hosts"), etc.st_mtim.tv_sec, etc.st_mtim.tv_nsec);
  });
  CHECK(result.error == "");
  CHECK(result.text == "lay's hosts 1000000000.7");
  CHECK(std::filesystem::is_empty(fixture.path() + "/container/upper"));
  const UniqueFd points = sys::open_dir(sys::cwd(), fixture.points().path);
  CHECK(sys::try_stat_at(points, "srv/data/deep"));
  CHECK(sys::try_stat_at(points, "etc/hosts"));
  CHECK(list_names(sys::open_dir(sys::cwd(), fixture.path() + "/run/points")).size() ==
        4);  // nothing half-made
}

TEST_CASE("the layer of the mount points is made once for the same mounts, and anew for others",
          "[runner][rootfs]") {
  RootfsFixture fixture;
  CHECK(fixture.enter([] { return std::string(); }).error == "");
  const std::string first = fixture.points().path;
  const ino_t hosts = sys::stat_at(sys::cwd(), first + "/etc/hosts").st_ino;
  CHECK(fixture.enter([] { return std::string(); }).error == "");
  CHECK(sys::stat_at(sys::cwd(), first + "/etc/hosts").st_ino == hosts);

  fixture.add_volume("/added");
  CHECK(fixture.enter([] { return std::string(); }).error == "");
  CHECK_FALSE(sys::try_stat_at(sys::cwd(), first + "/added"));
  CHECK(sys::try_stat_at(sys::cwd(), fixture.points().path + "/added"));
  CHECK(std::filesystem::is_empty(fixture.path() + "/container/upper"));
}

TEST_CASE("a volume that is a file now and was a folder before finds a mount point of its kind",
          "[runner][rootfs]") {
  RootfsFixture fixture;
  fixture.spec.mounts.push_back({"/thing", "bind", fixture.path() + "/volume", {"bind"}});
  CHECK(fixture.enter([] { return std::string(); }).error == "");
  fixture.spec.mounts.back().source = fixture.path() + "/canary/secret";
  const ChildResult result = fixture.enter([] { return read_path("/thing"); });
  CHECK(result.error == "");
  CHECK(result.text == "canary");
}

TEST_CASE("layers of mount points are few when nobody uses them, and stay for who does", "[runner][rootfs]") {
  RootfsFixture fixture;
  const runner::MountPoints used = fixture.points();
  CHECK(fixture.enter([] { return std::string(); }).error == "");
  const std::string run = fixture.path() + "/run/points";
  sys::mkdir_at(sys::cwd(), used.path + "-killed", 0700);
  for (int i = 0; i < 40; ++i) {
    RootfsFixture other;
    other.spec = fixture.spec;
    other.add_volume("/volume" + std::to_string(i));
    const runner::MountPoints points =
        runner::take_mount_points(fixture.path() + "/run", "", other.spec, other.plan);
    sys::try_mkdir_at(sys::cwd(), points.path, 0700);
  }
  const auto names = list_names(sys::open_dir(sys::cwd(), run));
  CHECK(names.size() < 2 * 20);
  CHECK(sys::try_stat_at(sys::cwd(), used.path + "/etc/hosts"));
}

TEST_CASE("where RUN is on an overlay, as in a container, the layer lies beside the containers",
          "[runner][rootfs]") {
  const RootfsFixture fixture;
  const std::string at = fixture.path();
  for (const char* folder : {"/lower", "/upper", "/work", "/run"})
    sys::mkdir_at(sys::cwd(), at + folder, 0700);
  const ChildResult result = test::in_child(RootfsFixture::kNamespaces, [&] {
    ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    const std::string options = fmt::format("lowerdir={0}/lower,upperdir={0}/upper,workdir={0}/work", at);
    if (::mount("overlay", (at + "/run").c_str(), "overlay", 0, options.c_str()) < 0)
      return std::string("no overlay");
    const std::string path = fixture.points().path;
    fixture.enter_root();
    return path + " " + read_path("/etc/hosts");
  });
  CHECK(result.error == "");
  CHECK_THAT(result.text, Catch::StartsWith(at + "/container/.points/") && Catch::EndsWith(" lay's hosts"));
}

TEST_CASE("a start takes away what a killed one left of the same layer", "[runner][rootfs]") {
  const RootfsFixture fixture;
  const std::string left = fixture.points().path + "-left";
  sys::mkdir_at(sys::cwd(), left, 0700);
  CHECK(fixture.enter([] { return std::string(); }).error == "");
  CHECK_FALSE(sys::try_stat_at(sys::cwd(), left));
}

TEST_CASE("what a container writes lands in its upper, and only that", "[runner][rootfs]") {
  const RootfsFixture fixture;
  CHECK(fixture
            .enter([] {
              sys::write_all(sys::open_at(sys::cwd(), "/etc/new", O_WRONLY | O_CREAT, 0644),
                             std::string_view("x"));
              sys::write_all(sys::open_at(sys::cwd(), "/etc/hosts", O_WRONLY | O_TRUNC),
                             std::string_view("changed"));
              return std::string();
            })
            .error == "");
  CHECK(test::text_of(fixture.base(), "container/upper/etc/new") == "x");
  CHECK_FALSE(sys::try_stat_at(fixture.base(), "container/upper/etc/hosts"));
  CHECK(test::text_of(fixture.base(), "container/hosts") == "changed");
}

TEST_CASE("a volatile container can be started again after it was killed", "[runner][rootfs]") {
  RootfsFixture fixture;
  fixture.plan.overlay.is_volatile = true;
  for (int start = 0; start < 2; ++start) {
    const ChildResult result = fixture.enter([] {
      sys::write_all(sys::open_at(sys::cwd(), "/kept", O_WRONLY | O_CREAT | O_APPEND, 0644),
                     std::string_view("x"));
      return read_path("/kept");
    });
    CHECK(result.error == "");
    CHECK(result.text == std::string(static_cast<std::size_t>(start) + 1, 'x'));
    CHECK(sys::try_stat_at(fixture.base(), "container/work/work/incompat/volatile"));
  }
}

TEST_CASE("devices are those of the spec, with their modes whatever the umask", "[runner][rootfs]") {
  const RootfsFixture fixture;
  const mode_t previous = ::umask(0777);
  const ChildResult result = fixture.enter([] {
    std::string text;
    for (const char* name : {"null", "zero", "full", "random", "urandom", "tty"}) {
      const struct ::stat info = sys::stat_at(sys::cwd(), std::string("/dev/") + name);
      text +=
          fmt::format("{} {}:{} {:o}\n", name, ::major(info.st_rdev), ::minor(info.st_rdev), info.st_mode);
    }
    for (const char* name : {"fd", "stdin", "stdout", "stderr", "ptmx"})
      text += sys::readlink_at(sys::cwd(), std::string("/dev/") + name) + "\n";
    sys::write_all(sys::open_at(sys::cwd(), "/dev/null", O_WRONLY), std::string_view("x"));
    return text;
  });
  ::umask(previous);
  CHECK(result.error == "");
  CHECK(result.text ==
        "null 1:3 20666\nzero 1:5 20666\nfull 1:7 20666\nrandom 1:8 20666\nurandom 1:9 20666\ntty 5:0 20666\n"
        "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx\n");
}

TEST_CASE("a device node in a layer cannot be opened", "[runner][rootfs]") {
  const RootfsFixture fixture;
  sys::mknod_at(fixture.layer(), "zero", S_IFCHR | 0666, ::makedev(1, 5));
  const ChildResult result = fixture.enter([] {
    const int fd = ::open("/zero", O_RDONLY | O_CLOEXEC);
    return std::to_string(fd < 0 ? errno : 0);
  });
  CHECK(result.text == std::to_string(EACCES));
}

TEST_CASE("masked paths read as empty and read-only paths cannot be written", "[runner][rootfs]") {
  RootfsFixture fixture;
  fixture.spec.linux_.masked_paths.push_back("/proc/interrupts");  // twice
  fixture.spec.linux_.masked_paths.push_back("/proc/not/there");   // absent
  const ChildResult result = fixture.enter([] {
    const int fd = ::open("/proc/sys/kernel/hostname", O_WRONLY | O_CLOEXEC);
    const int hostname = fd < 0 ? errno : 0;
    return fmt::format("'{}' '{}' {} {} {}", read_path("/proc/interrupts"), read_path("/proc/keys"),
                       sys::stat_at(sys::cwd(), "/sys/firmware").st_nlink, creation_error("/sys/firmware/x"),
                       hostname);
  });
  CHECK(result.error == "");
  CHECK(result.text == fmt::format("'' '' 2 {} {}", EROFS, EROFS));
}

TEST_CASE("a read-only root leaves /dev, tmpfs mounts and volumes writable", "[runner][rootfs]") {
  RootfsFixture fixture;
  fixture.spec.root.readonly = true;
  fixture.add_volume("/data");
  fixture.spec.mounts.push_back({"/tmp", "tmpfs", "tmpfs", {"nosuid", "nodev", "size=64k", "mode=1777"}});
  const ChildResult result = fixture.enter([] {
    struct ::statvfs info {};
    ::statvfs("/tmp", &info);
    return fmt::format("{} {} {} {} {}", creation_error("/x"), creation_error("/data/x"),
                       creation_error("/dev/shm/x"), creation_error("/tmp/x"), info.f_blocks * info.f_frsize);
  });
  CHECK(result.error == "");
  CHECK(result.text == fmt::format("{} 0 0 0 65536", EROFS));
}

TEST_CASE("P08: the old root cannot be reached, not even by chroot and ..", "[runner][rootfs]") {
  const RootfsFixture fixture;
  const ChildResult result = fixture.enter([&] {
    const UniqueFd above = sys::open_at(sys::cwd(), "/", O_PATH | O_DIRECTORY);
    sys::mkdir_at(sys::cwd(), "/jail", 0755);
    std::string found = "no";
    if (::chroot("/jail") < 0 || ::fchdir(above.get()) < 0) return std::string("chroot failed");
    for (int level = 0; level < 20; ++level)
      if (::chdir("..") == 0 && sys::try_stat_at(sys::cwd(), fixture.path().substr(1) + "/canary"))
        found = "yes";
    if (sys::try_stat_at(sys::cwd(), "proc/1/root" + fixture.path())) found = "through proc";
    return found;
  });
  CHECK(result.error == "");
  CHECK(result.text == "no");
}

TEST_CASE("P04: a console is a pty of the container's own devpts", "[runner][rootfs]") {
  RootfsFixture fixture;
  fixture.spec.process.console_size = {.height = 33, .width = 99};
  const ChildResult result = fixture.enter([&] {
    const UniqueFd master = runner::open_console(fixture.spec);
    const UniqueFd console = sys::open_at(sys::cwd(), "/dev/console", O_RDWR | O_NOCTTY);
    sys::write_all(console, std::string_view("hello\n"));
    std::array<std::byte, 64> buffer{};
    const std::size_t size = sys::read_some(master, buffer);
    return fmt::format("{} {}", std::string(reinterpret_cast<const char*>(buffer.data()), size),
                       ::isatty(console.get()));
  });
  CHECK(result.error == "");
  CHECK(result.text == "hello\r\n 1");
}
