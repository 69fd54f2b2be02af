#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "error_of.h"
#include "overlay_fixture.h"
#include "tree_description.h"

/// Uppers of overlays with redirect_dir and metacopy, which leave a part in their lowers. The judge is what
/// the kernel shows.
namespace lay::layerstore {

namespace {

using test::apply_to;
using test::describe_tree;
using test::diff_of;
using test::error_of;
using test::OverlayFixture;
using test::OverlayMount;
using test::run_in;
using test::shell;
using test::TreeDescription;

constexpr const char* kOptions = "redirect_dir=on,metacopy=on,index=off";

/// Two lowers, of which the nearer one removes and replaces something of the other.
constexpr const char* kLowers = R"sh(
mkdir -p near far/a/b/c far/d/sub far/e far/hidden far/opaque/old; cd far
echo 1 > a/1; echo 2 > a/b/2; echo 3 > a/b/c/3; ln -s ../1 a/b/link; mkfifo a/b/pipe; mknod a/b/null c 1 3
chmod 4750 a/b/2; chown 70000:80000 a/b/2; setfattr -n user.note -v far a/b; chmod 1777 a/b/c
setfacl -m u:33:rwx a/b; touch -d @1111111111 a/b/c; echo d > d/sub/file; echo e > e/e; echo h > hidden/h
echo old > opaque/old/f; head -c 200000 /dev/urandom > big; echo one > hard; ln hard hard2
setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 big
cd ../near; mkdir -p a/b opaque; echo near > a/b/near; mknod a/b/2 c 0 0; mknod hidden c 0 0
echo fresh > opaque/fresh; setfattr -n trusted.overlay.opaque -v y opaque; chmod 711 a; chown 5:6 a/b
setfattr -n user.note -v near a/b
)sh";

struct Redirected {
  OverlayFixture fixture;

  /// Runs `script` in the merged view of both lowers.
  explicit Redirected(const std::string& script) {
    run_in(fixture.temp.path(), kLowers);
    const OverlayMount mount("lowerdir=" + lowers() + ",upperdir=" + fixture.path("upper") +
                                 ",workdir=" + fixture.path("work") + "," + kOptions,
                             fixture.path("merged"));
    run_in(fixture.path("merged"), script);
  }

  std::string lowers() const { return fixture.path("near") + ":" + fixture.path("far"); }
  OpenLowers open_lowers() const {
    return [this] {
      std::vector<UniqueFd> opened;
      for (const char* name : {"near", "far"})
        opened.push_back(sys::open_dir(sys::cwd(), fixture.path(name)));
      return opened;
    };
  }
  TreeDescription shown_with(const std::string& top, const std::string& options) const {
    const OverlayMount mount("ro,lowerdir=" + fixture.path(top) + ":" + lowers() + options,
                             fixture.path("merged"));
    return describe_tree(fixture.path("merged"));
  }
  std::string count_of(const std::string& xattr) const {
    return shell("getfattr -R -h -m - " + fixture.path("upper") + " 2>&1 | grep -c overlay." + xattr).output;
  }

  /// The layer made of the upper shows on the same lowers what the kernel shows of the upper.
  void check() const {
    const std::string tar = diff_of(fixture.path("upper"), TreeKind::upper, open_lowers());
    apply_to(fixture.path("layer"), tar);  // compares both forms
    CHECK(shown_with("layer", "") == shown_with("upper", ",metacopy=on"));
    CHECK((diff_of(fixture.path("layer")) == tar));
  }
};

}  // namespace

TEST_CASE("a layer of an upper with redirects shows what the kernel showed", "[layerstore][lowers]") {
  const std::string script = GENERATE(
      as<std::string>(), "mv a moved", "mv a/b a/moved", "mv a d/under", "mv a x; mv x y; mv y d/z",
      "mv a/b d/b; mv d/b/c d/sub/c; mv d/sub e/s; rmdir d/b/nothing 2>/dev/null || true",
      "mv a x; echo new > x/b/c/new; echo more >> x/b/near; rm x/1 x/b/c/3; chmod 700 x/b/c; touch x/b",
      "mv a x; rm -r x/b; mkdir x/b; echo y > x/b/y", "mv a x; mkdir a; echo again > a/b; mv x/b a/c",
      "mv a/b e/b; mv e f; mv d e; rm f/e", "mv opaque o; mv e o/e; rm o/fresh",
      "mv a x; mv x/b/c c; mv c x/c2; ln -s x a; mv x/1 x/b/1; mv x/b/near n",
      "mv d a/b/c/d; echo 4 > a/b/c/d/sub/4; chown 9:9 a/b/c/d/sub/file; mv a z",
      "mv a x; setfattr -n user.k -v v x/b; setfattr -x user.note x/b; touch -d @5 x/b/c x/b x");
  INFO(script);
  const Redirected redirected(script);
  REQUIRE(redirected.count_of("redirect") != "0\n");
  redirected.check();
}

TEST_CASE("a layer of an upper with metacopies holds their data", "[layerstore][lowers]") {
  const std::string script =
      GENERATE(as<std::string>(), "chmod 600 big",
               "chown 3:4 e/e; chmod 2755 e/e; python3 -c 'import os; os.utime(\"e/e\", (77, 77))'",
               "chmod 640 a/b/near; mv a/b/near elsewhere", "chmod 600 big; ln big big2; ln big a/b/big3",
               "chmod 600 hard; chown 1:1 hard2", "setfattr -n user.x -v y big; mv big d/sub/big",
               "chmod 644 d/sub/file; mv d x; ln x/sub/file x/sub/f2; ln x/sub/file f3",
               "chmod 600 big; mv big x; mv x y; echo more >> y; chmod 644 e/e; mv e/e e/f");
  INFO(script);
  const Redirected redirected(script);
  REQUIRE(redirected.count_of("metacopy") != "0\n");
  redirected.check();
}

TEST_CASE("hard links of an upper stay hard links when a folder around one of them was renamed",
          "[layerstore][lowers]") {
  const Redirected redirected(
      "echo new > a/b/c/new; ln a/b/c/new outside; ln a/b/c/new a/twin; mv a x; ln outside zz");
  redirected.check();
  const std::string tar =
      diff_of(redirected.fixture.path("upper"), TreeKind::upper, redirected.open_lowers());
  run_in(redirected.fixture.path("layer"),
         "for f in x/b/c/new x/twin zz; do test $f -ef outside; done; test $(stat -c %h zz) = 4");
}

TEST_CASE("a deep renamed folder needs no open file for every level", "[layerstore][lowers]") {
  const Redirected redirected("mv a x");
  run_in(redirected.fixture.path("far/a"),
         "i=0; while [ $i -lt 200 ]; do mkdir e; : > e/f; cd ./e; i=$((i+1)); done");
  redirected.check();
}

TEST_CASE("a file that has its data again keeps a redirect that means nothing", "[layerstore][lowers]") {
  const OverlayFixture fixture;
  run_in(fixture.path("upper"), "echo data > f; setfattr -n trusted.overlay.redirect -v /x f");
  CHECK_NOTHROW(diff_of(fixture.path("upper")));
}

TEST_CASE("an upper that leaves a part in its lowers is unsupported without them", "[layerstore][lowers]") {
  const OverlayFixture fixture;
  const auto* script = GENERATE("mkdir -p p/d; setfattr -n trusted.overlay.redirect -v /x p/d",
                                "mkdir p; touch p/d; setfattr -n trusted.overlay.metacopy -v '' p/d");
  run_in(fixture.path("upper"), script);
  const Error error = error_of([&] { diff_of(fixture.path("upper")); });
  CHECK(error.code() == Errc::unsupported);
  CHECK_THAT(error.message(), Catch::Contains("'p/d'"));
  CHECK_THAT(error.hint(), Catch::Contains("--base"));
}

TEST_CASE("redirects of the notation that no kernel follows are unsupported", "[layerstore][lowers]") {
  const Redirected redirected(":");
  run_in(redirected.fixture.path("upper"),
         "for note in uuid impure; do setfattr -x trusted.overlay.$note . 2>/dev/null || true; done; "
         "mkdir x; setfattr -n user.overlay.redirect -v /a x");
  const Error error =
      error_of([&] { diff_of(redirected.fixture.path("upper"), TreeKind::upper, redirected.open_lowers()); });
  CHECK(error.code() == Errc::unsupported);
  CHECK_THAT(error.message(), Catch::Contains("user.overlay.redirect"));
}

TEST_CASE("a redirect never leads out of the lowers", "[layerstore][lowers]") {
  const Redirected redirected(":");
  const auto* target =
      GENERATE("/../canary", "..", "/a/../../canary", "/link", "/link/x", "../../canary", "/", "", "/a/1");
  run_in(redirected.fixture.temp.path(),
         std::string("mkdir canary; echo SECRET > canary/x; ln -s ../canary far/link; mkdir upper/x; ") +
             "setfattr -n trusted.overlay.redirect -v '" + target + "' upper/x");
  try {
    const std::string tar =
        diff_of(redirected.fixture.path("upper"), TreeKind::upper, redirected.open_lowers());
    CHECK(tar.find("SECRET") == std::string::npos);
  } catch (const Error& error) {
    CHECK_FALSE(error.message().empty());  // the kernel refused it
  }
}

}  // namespace lay::layerstore
