#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "rootfs_fixture.h"

using namespace lay;
using lay::test::ChildResult;
using lay::test::RootfsFixture;

namespace {

/// The options of the mount at `point`, and its optional fields, as mountinfo has them.
std::string options_of(const std::string& point) {
  for (const std::string& line : test::mounts_naming(" " + point + " ")) {
    const std::vector<std::string> fields = split(line, ' ');
    return fields.at(5) + (fields.at(6) == "-" ? "" : " " + split(fields.at(6), ':').front());
  }
  return "not mounted";
}

/// A root as a bundle has it: a folder, whose mounts follow the rules of the runtime spec.
class BundleFixture : public RootfsFixture {
 public:
  BundleFixture() { plan.folder = path() + "/layer"; }

  void add(const std::string& destination, const std::string& type, std::vector<std::string> options) {
    spec.mounts.push_back(
        {destination, type, type == "bind" ? path() + "/volume" : type, std::move(options)});
  }
};

}  // namespace

TEST_CASE("a bundle's bind mount has the options that it names, and no others", "[runner][rootfs][spec]") {
  BundleFixture fixture;
  fixture.add("/plain", "bind", {"bind"});
  fixture.add("/strict", "bind", {"bind", "ro", "nosuid", "nodev", "noexec", "noatime", "nosymfollow"});
  const ChildResult result =
      fixture.enter([] { return options_of("/plain") + "; " + options_of("/strict"); });
  CHECK(result.error == "");
  CHECK(result.text == "rw,relatime; ro,nosuid,nodev,noexec,noatime,nosymfollow");
}

TEST_CASE("options that begin with r are for all below a bind mount, the others are not",
          "[runner][rootfs][spec]") {
  BundleFixture fixture;
  test::put_folder(fixture.base(), "volume/sub");
  fixture.add("/top", "bind", {"rbind", "ro"});
  fixture.add("/all", "bind", {"rbind", "rro", "rnosuid", "rnoexec", "rnoatime", "rw"});
  const ChildResult result = test::in_child(RootfsFixture::kNamespaces, [&] {
    ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    ::mount("tmpfs", (fixture.path() + "/volume/sub").c_str(), "tmpfs", 0, nullptr);
    fixture.enter_root();
    return options_of("/top") + "; " + options_of("/top/sub") + "; " + options_of("/all") + "; " +
           options_of("/all/sub");
  });
  CHECK(result.error == "");
  CHECK(result.text == "ro,relatime; rw,relatime; rw,nosuid,noexec,noatime; ro,nosuid,noexec,noatime");
}

TEST_CASE("a bundle's mount may be shared with the host, be its slave or be private",
          "[runner][rootfs][spec]") {
  BundleFixture fixture;
  fixture.add("/shared", "bind", {"rbind", "rshared"});
  fixture.add("/slave", "bind", {"rbind", "rslave"});
  fixture.add("/private", "bind", {"rbind"});
  fixture.add("/unbindable", "tmpfs", {"unbindable"});
  const ChildResult result = test::in_child(RootfsFixture::kNamespaces, [&] {
    ::mount(nullptr, "/", nullptr, MS_REC | MS_SHARED, nullptr);
    fixture.enter_root();
    std::string text;
    for (const char* place : {"/shared", "/slave", "/private", "/unbindable"})
      text += options_of(place) + "; ";
    return text;
  });
  CHECK(result.error == "");
  CHECK(result.text == "rw,relatime shared; rw,relatime master; rw,relatime; rw,relatime unbindable; ");
}

TEST_CASE("a bind mount shows its owners by maps of its own, which are not the container's",
          "[runner][rootfs][spec]") {
  BundleFixture fixture;
  test::put_file(fixture.base(), "volume/file", "x");
  sys::chown_at(fixture.base(), "volume/file", 7, 8);
  fixture.add("/mapped", "bind", {"bind", "idmap"});
  fixture.spec.mounts.back().uid_mappings = {{0, 1000, 10}};
  fixture.spec.mounts.back().gid_mappings = {{0, 2000, 10}};
  const ChildResult result = fixture.enter([] {
    const struct ::stat info = sys::stat_at(sys::cwd(), "/mapped/file");
    return fmt::format("{}:{}", info.st_uid, info.st_gid);
  });
  if (result.error.find("no id-mapped mounts") != std::string::npos)
    WARN("the file system of the tests has no id-mapped mounts");
  else
    CHECK(result.text == "1007:2008");
}

TEST_CASE("a mount with idmap, but without maps and user namespace, is an error", "[runner][rootfs][spec]") {
  BundleFixture fixture;
  fixture.add("/mapped", "bind", {"bind", "idmap"});
  CHECK_THAT(fixture.enter([] { return std::string(); }).error, Catch::Contains("user namespace"));
}

TEST_CASE("tmpcopyup begins a tmpfs with what the image has there", "[runner][rootfs][spec]") {
  BundleFixture fixture;
  test::put_folder(fixture.base(), "layer/var");
  test::put_folder(fixture.base(), "layer/var/sub");
  test::put_file(fixture.base(), "layer/var/sub/file", "from the image");
  sys::symlink_at("sub/file", fixture.base(), "layer/var/link");
  sys::chown_at(fixture.base(), "layer/var/sub", 5, 6);
  fixture.add("/var", "tmpfs", {"tmpcopyup", "size=1m"});
  const ChildResult result = fixture.enter([] {
    const struct ::stat info = sys::stat_at(sys::cwd(), "/var/sub");
    test::put_file(sys::cwd(), "/var/new", "x");
    return fmt::format("{} {}:{}", test::text_of(sys::cwd(), "/var/link"), info.st_uid, info.st_gid);
  });
  CHECK(result.error == "");
  CHECK(result.text == "from the image 5:6");
  CHECK_FALSE(sys::try_stat_at(fixture.base(), "layer/var/new"));
}

TEST_CASE("remount changes what is mounted there, and misses what is not", "[runner][rootfs][spec]") {
  BundleFixture fixture;
  fixture.add("/data", "tmpfs", {"size=1m", "nosuid"});
  fixture.add("/data", "", {"remount", "ro", "noexec"});
  const ChildResult result = fixture.enter([] { return options_of("/data"); });
  CHECK(result.error == "");
  CHECK(result.text == "ro,nosuid,noexec,relatime");
  BundleFixture other;
  other.add("/tmp", "", {"remount", "ro"});
  CHECK_THAT(other.enter([] { return std::string(); }).error, Catch::Contains("nothing is mounted there"));
}

TEST_CASE("options of a file system as a whole are taken", "[runner][rootfs][spec]") {
  BundleFixture fixture;
  fixture.add(
      "/data", "tmpfs",
      {"sync", "dirsync", "mand", "lazytime", "silent", "acl", "iversion", "async", "loud", "defaults"});
  const ChildResult result = fixture.enter([] { return options_of("/data"); });
  CHECK(result.error == "");
  CHECK(result.text == "rw,relatime");
}

TEST_CASE("a fifo among the devices is made with owner and mode", "[runner][rootfs][spec]") {
  BundleFixture fixture;
  fixture.spec.linux_.devices.push_back(
      {.path = "/dev/pipe", .type = "p", .file_mode = 0640, .uid = 3, .gid = 4});
  const ChildResult result = fixture.enter([] {
    const struct ::stat info = sys::stat_at(sys::cwd(), "/dev/pipe");
    return fmt::format("{} {:o} {}:{}", S_ISFIFO(info.st_mode), info.st_mode & 07777, info.st_uid,
                       info.st_gid);
  });
  CHECK(result.error == "");
  CHECK(result.text == "true 640 3:4");
}
