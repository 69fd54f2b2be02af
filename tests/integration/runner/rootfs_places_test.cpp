#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <vector>

#include "rootfs_fixture.h"
#include "without_openat2.h"

using namespace lay;
using lay::test::ChildResult;
using lay::test::RootfsFixture;

namespace {

enum class Openat2 { works, is_missing };

/// What an attacker would like lay to touch: every kind of file, with a decoy of a pty multiplexer.
void fill_canary(const RootfsFixture& fixture) {
  const UniqueFd canary = sys::open_dir(fixture.base(), "canary");
  for (const char* folder : {"folder", "pts", "shm", "net"}) test::put_folder(canary, folder);
  for (const char* file : {"ptmx", "pts/ptmx", "hosts", "hostname", "resolv.conf", "null", "console"})
    test::put_file(canary, file, "canary");
  test::put_file(canary, "setuid", "canary");
  sys::fchmod(sys::open_at(canary, "setuid", O_RDONLY), 04755);
  REQUIRE(::mkfifoat(canary.get(), "fifo", 0600) == 0);
  sys::symlink_at("/etc/passwd", canary, "symlink");
}

/// Names, modes, owners, contents' and attributes' times: ctime moves with whatever is changed, xattrs too.
std::string snapshot(const RootfsFixture& fixture) {
  std::vector<std::string> lines;
  const auto add = [&](const std::string& path) {
    const struct ::stat info = sys::stat_at(sys::cwd(), path);
    lines.push_back(fmt::format("{} {:o} {}:{} {} {}.{} {}.{}", path, info.st_mode, info.st_uid, info.st_gid,
                                info.st_nlink, info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_ctim.tv_sec,
                                info.st_ctim.tv_nsec));
  };
  add(fixture.path() + "/canary");
  for (const auto& entry : std::filesystem::recursive_directory_iterator(fixture.path() + "/canary"))
    add(entry.path().string());
  std::sort(lines.begin(), lines.end());
  return join(lines, "\n");
}

/// Where a symlink of the image may lead.
std::vector<std::string> hostile_targets(const RootfsFixture& fixture, const std::string& place) {
  return {fixture.path() + "/canary",
          "../../../../../../../../.." + fixture.path() + "/canary",
          fixture.path() + "/canary/folder",
          fixture.path() + "/canary/hosts",
          "/absent/deep",
          "/" + place,  // a loop
          "/proc/1/root" + fixture.path() + "/canary",
          "/proc/self/cwd",
          "/dev/pts",
          "/etc"};
}

void put_symlink(const RootfsFixture& fixture, const std::string& place, const std::string& target) {
  const UniqueFd layer = fixture.layer();
  for (std::size_t slash = place.find('/'); slash != std::string::npos; slash = place.find('/', slash + 1))
    test::put_folder(layer, place.substr(0, slash));
  const auto old = sys::try_stat_at(layer, place);
  if (old) ::unlinkat(layer.get(), place.c_str(), S_ISDIR(old->st_mode) ? AT_REMOVEDIR : 0);
  sys::symlink_at(target, layer, place);
}

ChildResult enter(const RootfsFixture& fixture, Openat2 openat2) {
  return test::in_child(RootfsFixture::kNamespaces, [&] {
    if (openat2 == Openat2::is_missing) test::forbid_openat2();
    fixture.enter_root();
    return std::string("entered");
  });
}

}  // namespace

TEST_CASE("P01: no symlink of an image makes lay touch anything on the host", "[runner][rootfs][hostile]") {
  const auto openat2 = GENERATE(Openat2::works, Openat2::is_missing);
  for (const std::string place :
       {"proc", "sys", "dev", "dev/pts", "dev/shm", "dev/mqueue", "dev/console", "sys/fs/cgroup", "etc",
        "etc/resolv.conf", "etc/hosts", "etc/hostname", "etc/mtab", "run", "run/secrets", "data", "data/sub"})
    for (std::size_t kind = 0; kind < 10; ++kind) {
      RootfsFixture fixture;
      fill_canary(fixture);
      const std::string target = hostile_targets(fixture, place).at(kind);
      put_symlink(fixture, place, target);
      fixture.add_volume("/data/sub/volume");
      fixture.spec.mounts.push_back({"/run/secrets/one", "tmpfs", "tmpfs", {"size=4k"}});
      const std::string before = snapshot(fixture);
      const ChildResult result = enter(fixture, openat2);
      CAPTURE(place, target, result.error, openat2 == Openat2::is_missing);
      CHECK(snapshot(fixture) == before);
      CHECK((result.text == "entered" || !result.error.empty()));
      CHECK(test::mounts_naming(fixture.path()).empty());
      const bool is_system = place == "proc" || place == "sys" || place == "dev";
      if (is_system) CHECK(result.text.empty());  // these must be real folders
    }
}

TEST_CASE("P01: without openat2 an ordinary image is entered as ever, also with symlinks that dangle",
          "[runner][rootfs]") {
  RootfsFixture fixture;
  put_symlink(fixture, "etc/resolv.conf", "../run/resolve/stub.conf");
  put_symlink(fixture, "data", "var/lib/data");
  fixture.add_volume("/data");
  test::put_file(fixture.base(), "volume/file", "inside");
  const ChildResult result = test::in_child(RootfsFixture::kNamespaces, [&] {
    test::forbid_openat2();
    fixture.enter_root();
    return test::text_of(sys::cwd(), "/etc/resolv.conf") + test::text_of(sys::cwd(), "/var/lib/data/file");
  });
  CHECK(result.error == "");
  CHECK(result.text == "lay's resolv.confinside");
}
