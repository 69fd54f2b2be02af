#include "flags/mount_flags.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "base/error.h"
#include "flags/mount_words.h"

using namespace lay;
using namespace lay::cli;

namespace {

bool has(const runner::Mount& mount, const std::string& option) {
  return std::ranges::find(mount.options, option) != mount.options.end();
}

}  // namespace

TEST_CASE("--mount and -v make the same bind mount", "[cli][mounts]") {
  for (const auto& [words, volume] :
       {std::pair("type=bind,src=/a,dst=/b,ro", "/a:/b:ro"),
        std::pair("source=/a,target=/b,type=bind,rw", "/a:/b"),
        std::pair("type=bind,src=/a,dst=/b,bind-propagation=rslave", "/a:/b:rslave"),
        std::pair("type=bind,src=/a,dst=/b,bind-nonrecursive", "/a:/b:bind")}) {
    INFO(words);
    CHECK(parse_mount(words).options == parse_volume(volume).options);
    CHECK(mount_flag_of(parse_mount(words)) == mount_flag_of(parse_volume(volume)));
  }
}

TEST_CASE("a mount's flag says what was asked for, and is read back", "[cli][mounts]") {
  for (const char* text :
       {"type=bind,src=/a:b,dst=/c,ro", "type=bind,\"src=/a,b:\"\"c\",dst=/d,bind-nonrecursive",
        "type=tmpfs,dst=/x:y,tmpfs-size=1024,tmpfs-mode=700"}) {
    INFO(text);
    const auto [flag, value] = mount_flag_of(parse_mount(text));
    CHECK(flag == "mount");
    CHECK(value == text);
    CHECK(parse_mount(value).options == parse_mount(text).options);
  }
  CHECK(mount_flag_of(parse_volume("/a:/b:ro,exec")).second == "/a:/b:ro,exec");
}

TEST_CASE("folders are mounted before what lies in them, and nothing twice in one place", "[cli][mounts]") {
  runner::Spec spec;
  MountFlags flags{.volumes = {"/a:/x/y"}, .mounts = {"type=tmpfs,dst=/x/"}};
  flags.apply(spec);
  REQUIRE(spec.mounts.size() == 2);
  CHECK(spec.mounts.front().type == "tmpfs");
  flags.tmpfs = {"/x/./y"};
  CHECK_THROWS_AS(flags.apply(spec), Error);
}

TEST_CASE("the last of contradicting words of a mount holds", "[cli][mounts]") {
  const runner::Mount mount = parse_mount("type=bind,src=/a,dst=/b,noexec,exec,dev,ro,ro=false");
  CHECK_FALSE(has(mount, "noexec"));
  CHECK_FALSE(has(mount, "nodev"));
  CHECK_FALSE(has(mount, "ro"));
}
