#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>

#include "rootfs_fixture.h"
#include "without_openat2.h"

using namespace lay;
using lay::test::ChildResult;
using lay::test::RootfsFixture;

namespace {

std::string read_path(const std::string& path) {
  return test::text_of(sys::cwd(), path);
}

/// Exchanges two names in a folder, again and again, until it goes out of scope. A process: what a thread
/// has locked (a sanitizer's allocator) stays locked in the children that in_child() makes beside it.
class Swapper {
 public:
  Swapper(const UniqueFd& dir, const std::string& first, const std::string& second) : pid_(::fork()) {
    REQUIRE(pid_ >= 0);
    if (pid_ > 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (true) ::renameat2(dir.get(), first.c_str(), dir.get(), second.c_str(), RENAME_EXCHANGE);
  }
  Swapper(const Swapper&) = delete;
  Swapper& operator=(const Swapper&) = delete;
  ~Swapper() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_;
};

}  // namespace

TEST_CASE("P01: an image whose system folders are symlinks is refused", "[runner][rootfs][hostile]") {
  const std::string name = GENERATE("proc", "sys", "dev");
  const RootfsFixture fixture;
  const UniqueFd layer = fixture.layer();
  sys::unlink_at(layer, name, AT_REMOVEDIR);
  sys::symlink_at(fixture.path() + "/canary", layer, name);
  const ChildResult result = fixture.enter([] { return std::string(); });
  CHECK(result.error.find("'/" + name + "' of the image is a symlink, expected a folder") !=
        std::string::npos);
  CHECK(sys::stat_at(fixture.base(), "canary").st_nlink == 2);
  CHECK(test::mounts_naming(fixture.path()).empty());
}

TEST_CASE("P01: a symlinked resolv.conf is followed inside the image, even when it dangles",
          "[runner][rootfs][hostile]") {
  const std::string target = GENERATE("../run/resolve/stub.conf", "/run/resolve/stub.conf",
                                      "../../../../../run/x", "/etc/./../etc/other");
  const RootfsFixture fixture;
  sys::symlink_at(target, fixture.layer(), "etc/resolv.conf");
  const ChildResult result = fixture.enter([] { return read_path("/etc/resolv.conf"); });
  CHECK(result.error == "");
  CHECK(result.text == "lay's resolv.conf");
}

TEST_CASE("P01: a volume whose place is a symlink to the host stays inside the image",
          "[runner][rootfs][hostile]") {
  RootfsFixture fixture;
  const UniqueFd layer = fixture.layer();
  const bool through_parent = GENERATE(false, true);
  sys::symlink_at(fixture.path() + "/canary", layer, "link");
  fixture.add_volume(through_parent ? "/link/below" : "/link");
  const std::string place = fixture.path() + (through_parent ? "/canary/below" : "/canary");
  test::put_file(fixture.base(), "volume/mark", "volume");
  const ChildResult result = fixture.enter([&] { return read_path(place + "/mark"); });
  CHECK(result.error == "");
  CHECK(result.text == "volume");
  CHECK(test::text_of(fixture.base(), "canary/secret") == "canary");
  CHECK(sys::stat_at(fixture.base(), "canary").st_nlink == 2);
}

TEST_CASE("P01: symlinks that lead in a circle end in an error", "[runner][rootfs][hostile]") {
  RootfsFixture fixture;
  const UniqueFd layer = fixture.layer();
  sys::symlink_at("/b", layer, "a");
  sys::symlink_at("/a", layer, "b");
  fixture.add_volume("/a/x");
  CHECK(fixture.enter([] { return std::string(); }).error.find("'/a/x'") != std::string::npos);
}

TEST_CASE("a file where a folder must be is an error that says so", "[runner][rootfs][hostile]") {
  RootfsFixture fixture;
  test::put_file(fixture.layer(), "data", "x");
  SECTION("as the place itself") {
    fixture.add_volume("/data");
    CHECK(fixture.enter([] { return std::string(); }).error ==
          "mount '/data': the source is a folder, but the destination is a file");
  }
  SECTION("on the way") {
    fixture.add_volume("/data/x");
    CHECK(fixture.enter([] { return std::string(); }).error.find("'data' of '/data/x' is not a folder") !=
          std::string::npos);
  }
}

TEST_CASE("P05: nothing can be mounted inside /proc or over the root", "[runner][rootfs][hostile]") {
  RootfsFixture fixture;
  SECTION("by name") {
    fixture.add_volume("/proc/sys");
    CHECK(fixture.enter([] { return std::string(); }).error.find("nothing can be mounted inside /proc") !=
          std::string::npos);
  }
  SECTION("through a symlink of the image") {
    sys::symlink_at("/proc/self/attr", fixture.layer(), "data");
    fixture.add_volume("/data");
    CHECK(fixture.enter([] { return std::string(); }).error.find("'/data'") != std::string::npos);
  }
  SECTION("over the root") {
    fixture.add_volume("/.//x/..");
    CHECK(fixture.enter([] { return std::string(); }).error.find("over the root") != std::string::npos);
  }
  SECTION("over the root, through a symlink") {
    sys::symlink_at("/", fixture.layer(), "data");
    fixture.add_volume("/data");
    CHECK(fixture.enter([] { return std::string(); }).error.find("leads to the root itself") !=
          std::string::npos);
  }
}

TEST_CASE("characters that mean something in mount options do no harm in the store's path",
          "[runner][rootfs][hostile]") {
  const std::string name =
      GENERATE("a:b", "a,b=c", "back\\slash", "new\nline", "lowerdir=x,upperdir=y", "sp ace\ttab");
  const RootfsFixture fixture(name);
  test::put_file(fixture.layer(), "etc/from-layer", "yes");
  const ChildResult result = fixture.enter([] {
    sys::mkdir_at(sys::cwd(), "/made", 0755);
    return read_path("/etc/from-layer") + read_path("/etc/hosts");
  });
  CHECK(result.error == "");
  CHECK(result.text == "yeslay's hosts");
  CHECK(sys::try_stat_at(fixture.base(), "container/upper/made"));
}

TEST_CASE("a redirect that a layer carries is not followed", "[runner][rootfs][hostile]") {
  RootfsFixture fixture;
  test::put_folder(fixture.base(), "top");
  test::put_folder(fixture.base(), "top/shown");
  test::put_folder(fixture.base(), "layer/hidden");
  test::put_file(fixture.base(), "layer/hidden/secret", "x");
  sys::set_xattr(sys::open_dir(fixture.base(), "top/shown"), "trusted.overlay.redirect", "/hidden");
  fixture.plan.overlay.lowers.insert(fixture.plan.overlay.lowers.begin(), fixture.path() + "/top");
  const ChildResult result = fixture.enter([] {
    const UniqueFd root = sys::open_at(sys::cwd(), "/", O_PATH | O_DIRECTORY);
    return std::string(sys::try_open_at(root, "shown/secret", O_RDONLY) ? "followed" : "not followed");
  });
  CHECK(result.text != "followed");
}

TEST_CASE("127 layers are one root, the topmost first", "[runner][rootfs]") {
  RootfsFixture fixture;
  fixture.plan.overlay.lowers.clear();
  for (int number = 1; number < 127; ++number) {
    const std::string name = "layer-" + std::to_string(number);
    test::put_folder(fixture.base(), name);
    test::put_file(fixture.base(), name + "/top", std::to_string(number));
    test::put_file(fixture.base(), name + "/only-" + std::to_string(number), "x");
    fixture.plan.overlay.lowers.push_back(fixture.path() + "/" + name);
  }
  fixture.plan.overlay.lowers.push_back(fixture.path() + "/layer");
  const ChildResult result = fixture.enter([] { return read_path("/top") + read_path("/only-126"); });
  CHECK(result.error == "");
  CHECK(result.text == "1x");
}

TEST_CASE("a volume source that is not there is an error with a hint", "[runner][rootfs]") {
  RootfsFixture fixture;
  fixture.spec.mounts.push_back({"/data", "bind", fixture.path() + "/absent", {"rbind"}});
  const std::string expected = fmt::format(
      "mount '/data': volume source '{0}/absent' does not exist\nhint: make it first: mkdir -p '{0}/absent'",
      fixture.path());
  CHECK(fixture.enter([] { return std::string(); }).error == expected);
}

TEST_CASE(
    "P02: a neighbour that swaps folders and symlinks in a shared volume gets nothing mounted or made on the "
    "host",
    "[runner][rootfs][hostile]") {
  RootfsFixture fixture;
  const UniqueFd volume = sys::open_dir(fixture.base(), "volume");
  test::put_folder(volume, "sub");
  sys::symlink_at("../../../../../../.." + fixture.path() + "/canary", volume, "trap");
  fixture.add_volume("/data");
  fixture.spec.mounts.push_back({"/data/sub/a/b", "tmpfs", "tmpfs", {"size=4k"}});
  const struct ::stat before = sys::stat_at(fixture.base(), "canary");
  const bool has_openat2 = GENERATE(true, false);
  const int starts = std::getenv("LAY_TESTS_LONG") != nullptr ? 2000 : 60;
  const Swapper swapper(volume, "sub", "trap");
  for (int start = 0; start < starts; ++start) {
    // Refusing is as good as a mount inside; what counts is the host.
    test::in_child(RootfsFixture::kNamespaces, [&] {
      if (!has_openat2) test::forbid_openat2();
      fixture.enter_root();
      return std::string();
    });
    ::unlinkat(volume.get(), "sub/a/b", AT_REMOVEDIR);
    ::unlinkat(volume.get(), "sub/a", AT_REMOVEDIR);
  }
  const struct ::stat after = sys::stat_at(fixture.base(), "canary");
  CHECK(after.st_nlink == 2);
  CHECK(after.st_ctim.tv_sec == before.st_ctim.tv_sec);
  CHECK(after.st_ctim.tv_nsec == before.st_ctim.tv_nsec);
  CHECK(test::mounts_naming(fixture.path()).empty());
}
