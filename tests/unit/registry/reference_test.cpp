#include "registry/reference.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "error_of.h"

using namespace std::string_literals;
using lay::registry::local_name;
using lay::registry::manifest_selector;
using lay::registry::parse_reference;
using lay::registry::to_string;
using lay::test::error_of;

namespace {

const std::string kHex(64, 'a');
const std::string kDigest = "sha256:" + kHex;

std::string whole(const std::string& text) {
  return to_string(parse_reference(text));
}

}  // namespace

TEST_CASE("a name without a host is at docker.io, and official images are in library",
          "[registry][reference]") {
  CHECK(whole("debian") == "docker.io/library/debian:latest");
  CHECK(whole("debian:12") == "docker.io/library/debian:12");
  CHECK(whole("team/app") == "docker.io/team/app:latest");
  CHECK(whole("a/b/c:1") == "docker.io/a/b/c:1");
  CHECK(whole("docker.io/debian") == "docker.io/library/debian:latest");
  CHECK(whole("index.docker.io/debian") == "docker.io/library/debian:latest");
  CHECK(whole("index.docker.io/team/app:x") == "docker.io/team/app:x");
  CHECK(whole("localhost") == "docker.io/library/localhost:latest");
}

TEST_CASE("the first part is a host when it has a dot, a colon or a capital, or is localhost",
          "[registry][reference]") {
  CHECK(whole("localhost/app") == "localhost/app:latest");
  CHECK(whole("localhost:5000/team/app:1") == "localhost:5000/team/app:1");
  CHECK(whole("quay.io/app") == "quay.io/app:latest");
  CHECK(whole("host:80/app") == "host:80/app:latest");
  CHECK(whole("Host/app") == "Host/app:latest");
  CHECK(whole("[::1]:5000/app") == "[::1]:5000/app:latest");
  CHECK(whole("[2001:db8::1]/app") == "[2001:db8::1]/app:latest");
  CHECK(whole("127.0.0.1:5000/app") == "127.0.0.1:5000/app:latest");
  CHECK(whole("xn--7o8h.com/app") == "xn--7o8h.com/app:latest");
}

TEST_CASE("a digest is kept, goes before the tag, and makes no tag up", "[registry][reference]") {
  CHECK(whole("debian@" + kDigest) == "docker.io/library/debian@" + kDigest);
  CHECK(parse_reference("debian@" + kDigest).tag.empty());
  const auto both = parse_reference("host:5000/a/b:tag@" + kDigest);
  CHECK(both.tag == "tag");
  CHECK(manifest_selector(both) == kDigest);
  CHECK(manifest_selector(parse_reference("debian:12")) == "12");
  CHECK(to_string(both) == "host:5000/a/b:tag@" + kDigest);
}

TEST_CASE("repository parts may have single separators inside", "[registry][reference]") {
  for (const char* good : {"a.b", "a_b", "a__b", "a-b", "a--b", "a---b", "0", "a.b_c-d__e", "64/x"})
    CHECK(parse_reference("host.x/"s + good).repository == good);
}

TEST_CASE("R13: what the grammar does not allow is refused", "[registry][reference]") {
  const std::string bad = GENERATE_COPY(
      // nothing, or nothing where something is needed
      ""s, " "s, "/"s, "/a"s, "a/"s, "a//b"s, ":"s, ":1"s, "a:"s, "a@"s, "host.x/"s, "host.x/:1"s,
      "@"s + kDigest,
      // paths
      "."s, ".."s, "../a"s, "a/.."s, "a/../b"s, "localhost/../x"s, "a/./b"s, "./a"s,
      // separators
      "-a"s, "a-"s, ".a"s, "a."s, "_a"s, "a_"s, "a..b"s, "a___b"s, "a.-b"s, "a-_b"s, "host.x/a/-b"s,
      // capitals
      "Debian"s, "host.x/Team/app"s, "team/App"s,
      // hosts
      "docker.io@evil/x"s, "http://host/x"s, "https://host.x/x"s, "-host.x/a"s, "host-.x/a"s, "a..b/c"s,
      ".x/a"s, "host.x:/a"s, "host.x:port/a"s, "host.x:0/a"s, "host.x:65536/a"s,
      "host.x:99999999999999999999/a"s, "host.x:5000:5000/a"s, "[::1/a"s, "::1/a"s, "[fe80::1%eth0]/a"s,
      "[::1]x/a"s, "user@host.x/a"s, "user:pw@host.x/a"s, "host_x.y/a"s,
      // tags
      "a:.1"s, "a:-1"s, "a:1:2"s, "a:b c"s, "a:é"s, "a:%2f"s, "a:"s + std::string(129, 'x'),
      // digests
      "a@sha256:"s, "a@sha256:" + kHex + "a", "a@sha256:" + std::string(64, 'A'),
      "a@md5:" + std::string(32, 'a'), "a@" + kHex, "a@" + kDigest + "@" + kDigest, "a@sha256:../" + kHex,
      // bytes
      "a\0b"s, "a\nb"s, "a b"s, "a%2fb"s, "аpp"s, "a\x1b[31mb"s, std::string(5000, 'a'),
      // an image id is no name
      kHex, "host.x/" + kHex, kHex + ":tag", kDigest, "sha256:abcd"s, "sha256:latest"s, "sha256"s,
      "sha256@" + kDigest, "sha512:" + kHex + kHex);
  CAPTURE(bad);
  CHECK(error_of([&] { parse_reference(bad); }).code() == lay::Errc::invalid);
}

TEST_CASE("R14: a refused name is shown shortened and without control characters", "[registry][reference]") {
  const std::string message =
      error_of([] { parse_reference("a\x1b]52;c;aGk=\x07" + std::string(5000, 'x')); }).message();
  CHECK(message.size() < 300);
  CHECK(message.find('\x1b') == std::string::npos);
}

TEST_CASE("the hint says what to write instead", "[registry][reference]") {
  CHECK(error_of([] { parse_reference("Debian"); }).hint() == "write 'debian'");
  CHECK(error_of([] { parse_reference("https://quay.io/a"); }).hint() == "leave 'https://' out");
}

TEST_CASE("R13: a tag has at most 128 characters and a name at most 255", "[registry][reference]") {
  CHECK_NOTHROW(parse_reference("a:" + std::string(128, 'x')));
  const std::string repository(255 - "host.x/"s.size(), 'a');
  CHECK_NOTHROW(parse_reference("host.x/" + repository));
  CHECK_THROWS(parse_reference("host.x/" + repository + "a"));
}

TEST_CASE("a local name is kept as written, with :latest when it has neither tag nor digest",
          "[registry][reference]") {
  CHECK(local_name("myapp") == "myapp:latest");
  CHECK(local_name("myapp:1") == "myapp:1");
  CHECK(local_name("localhost:5000/a") == "localhost:5000/a:latest");
  CHECK(local_name("localhost:5000/a:2") == "localhost:5000/a:2");
  CHECK(local_name("a@" + kDigest) == "a@" + kDigest);
  CHECK_THROWS(local_name("My App"));
}
