#include <sys/mount.h>

#include <algorithm>
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

TEST_CASE("by the rules of the runtime spec options mean what mount(8) has for them", "[runner][rootfs]") {
  const auto parsed = [](std::vector<std::string> options) {
    return parse_mount_options({"/d", "bind", "/s", std::move(options)}, MountRules::runtime_spec);
  };
  const MountOptions plain = parsed({"bind"});
  CHECK(plain.attributes.set == 0);
  CHECK(plain.recursive.propagation == MS_PRIVATE);
  const MountOptions both = parsed({"rbind", "rro", "rnosuid", "exec", "rshared", "ridmap", "size=1"});
  CHECK(both.recursive.set == (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID));
  CHECK(both.attributes.clear == MOUNT_ATTR_NOEXEC);
  CHECK(both.recursive.propagation == MS_SHARED);
  CHECK(both.owners_recursion == Recursion::yes);
  CHECK(both.data.empty());
  CHECK(parsed({"slave"}).attributes.propagation == MS_SLAVE);
  CHECK(parsed({"remount", "bind"}).is_remount);
}

TEST_CASE("every option of the runtime spec's table is known", "[runner][rootfs]") {
  for (const char* option : {"async",
                             "atime",
                             "bind",
                             "defaults",
                             "dev",
                             "diratime",
                             "dirsync",
                             "exec",
                             "iversion",
                             "lazytime",
                             "loud",
                             "mand",
                             "noatime",
                             "nodev",
                             "nodiratime",
                             "noexec",
                             "noiversion",
                             "nolazytime",
                             "nomand",
                             "norelatime",
                             "nostrictatime",
                             "nosuid",
                             "nosymfollow",
                             "private",
                             "ratime",
                             "rbind",
                             "rdev",
                             "rdiratime",
                             "relatime",
                             "remount",
                             "rexec",
                             "rnoatime",
                             "rnodev",
                             "rnodiratime",
                             "rnoexec",
                             "rnorelatime",
                             "rnostrictatime",
                             "rnosuid",
                             "rnosymfollow",
                             "ro",
                             "rprivate",
                             "rrelatime",
                             "rro",
                             "rrw",
                             "rshared",
                             "rslave",
                             "rstrictatime",
                             "rsuid",
                             "rsymfollow",
                             "runbindable",
                             "rw",
                             "shared",
                             "silent",
                             "slave",
                             "strictatime",
                             "suid",
                             "symfollow",
                             "sync",
                             "tmpcopyup",
                             "unbindable",
                             "idmap",
                             "ridmap"}) {
    INFO(option);
    const std::vector<std::string> known = known_mount_options();
    CHECK(std::find(known.begin(), known.end(), option) != known.end());
  }
}

TEST_CASE("maps of a mount come together, and are a bind mount's", "[runner][rootfs]") {
  CHECK(test::error_of([] {
          parse_mount_options(
              {.destination = "/d", .type = "bind", .source = "/s", .uid_mappings = {{0, 1, 1}}},
              MountRules::runtime_spec);
        }).code() == Errc::invalid);
}
