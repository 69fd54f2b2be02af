#include <sys/mount.h>

#include <catch2/catch.hpp>

#include "base/error.h"
#include "error_of.h"
#include "rootfs/mount_options.h"

using namespace lay;
using namespace lay::runner;

TEST_CASE("options of a mount are sorted into attributes, propagation and the file system's own",
          "[runner][rootfs]") {
  const MountOptions options = parse_mount_options(
      {"/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "mode=1777", "size=64k", "newinstance"}});
  CHECK(options.attributes.set == (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC));
  CHECK(options.attributes.clear == 0);
  CHECK(options.attributes.propagation == MS_PRIVATE);
  REQUIRE(options.data.size() == 3);
  CHECK(options.data[0] == std::pair<std::string, std::optional<std::string>>("mode", "1777"));
  CHECK_FALSE(options.data[2].second);
}

TEST_CASE("a bind mount is nosuid and nodev unless it asks otherwise", "[runner][rootfs]") {
  CHECK(parse_mount_options({"/d", "bind", "/s", {}}).attributes.set ==
        (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
  const MountOptions asked = parse_mount_options({"/d", "bind", "/s", {"dev", "rbind", "ro", "rslave"}});
  CHECK(asked.attributes.set == (MOUNT_ATTR_NOSUID | MOUNT_ATTR_RDONLY));
  CHECK(asked.attributes.clear == MOUNT_ATTR_NODEV);
  CHECK(asked.recursion == Recursion::yes);
  CHECK(asked.attributes.propagation == MS_SLAVE);
}

TEST_CASE("of two options that contradict each other the last one wins", "[runner][rootfs]") {
  const MountOptions options =
      parse_mount_options({"/d", "tmpfs", "t", {"ro", "rw", "noatime", "strictatime"}});
  CHECK(options.attributes.set == MOUNT_ATTR_STRICTATIME);
  CHECK((options.attributes.clear & MOUNT_ATTR_RDONLY) != 0);
}

TEST_CASE("options that no container may have are refused", "[runner][rootfs]") {
  CHECK(test::error_of([] {
          parse_mount_options({"/d", "bind", "/s", {"rshared"}});
        }).hint() == "use rslave or rprivate");
  CHECK(test::error_of([] {
          parse_mount_options({"/d", "bind", "/s", {"size=1"}});
        }).code() == Errc::invalid);
}

TEST_CASE("a mount is a bind mount by type or by option", "[runner][rootfs]") {
  CHECK(is_bind({"/d", "bind", "/s", {}}));
  CHECK(is_bind({"/d", "none", "/s", {"rbind"}}));
  CHECK_FALSE(is_bind({"/d", "tmpfs", "tmpfs", {}}));
}

TEST_CASE("paths are compared by their parts", "[runner][rootfs]") {
  CHECK(normalize_path("//a/./b/../c/") == "/a/c");
  CHECK(normalize_path("../..") == "/");
  CHECK(normalize_path("") == "/");
  CHECK(lies_beneath("/a/b", "/a"));
  CHECK(lies_beneath("/a", "/"));
  CHECK_FALSE(lies_beneath("/ab", "/a"));
  CHECK_FALSE(lies_beneath("/a", "/a"));
  CHECK_FALSE(lies_beneath("/", "/"));
}
