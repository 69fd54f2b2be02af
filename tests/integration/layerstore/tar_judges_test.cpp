#include <catch2/catch.hpp>
#include <string>

#include "overlay_fixture.h"
#include "tree_description.h"

namespace lay::layerstore {

namespace {

using test::diff_of;
using test::OverlayFixture;
using test::run_in;
using test::shell;
using test::tree_difference;

constexpr const char* kAccessList = "setfacl -m u:33:rw dir/sub; touch -d @1234567890 dir/sub dir;";

constexpr const char* kTree = R"sh(
umask 022
mkdir -p dir/sub sticky; chmod 1777 sticky
echo content > dir/file; head -c 300000 /dev/urandom > dir/big; : > empty
cp /bin/true setuid; chmod 4711 setuid; cp /bin/true caps; setcap cap_net_raw+ep caps
ln dir/file hard; ln -s ../nowhere dir/dangling; ln -s /etc/passwd absolute
mkfifo pipe; mknod null c 1 3; mknod disk b 259 1048575
chown 123:456 empty; chown -h 7:8 absolute; setfattr -n user.text -v value dir/file
chown 4000000000:2097152 hard
: > "$(printf 'new\nline')"; : > "$(printf 'bad\377\376utf8')"; : > grüße; : > 'back\slash'
n=$(printf 'n%.0s' $(seq 200)); mkdir $n; echo deep > $n/$n; ln -s $n/$n long-link
find . -exec touch -h -d @1234567890 {} +; touch -d @-5 pipe; touch -d @9000000000 dir/big
touch -d @1234567890 . dir
)sh";

/// The tree, its tar as ours.tar, and an empty folder out.
struct Judged {
  OverlayFixture fixture;

  explicit Judged(const std::string& more = "") {
    run_in(fixture.path("upper"), kTree + more);
    const std::string tar = diff_of(fixture.path("upper"), TreeKind::plain);
    sys::write_all(sys::open_at(fixture.temp.fd(), "ours.tar", O_WRONLY | O_CREAT, 0600),
                   std::string_view(tar));
    run_in(fixture.temp.path(), "mkdir out");
  }
};

}  // namespace

TEST_CASE("GNU tar unpacks our tar to the same tree without a complaint about it", "[layerstore][tar]") {
  const Judged judged(kAccessList);
  const auto result = shell(
      "cd " + judged.fixture.temp.path() +
      " && tar --xattrs --xattrs-include='*' --numeric-owner --warning=no-timestamp -xpf ours.tar -C out");
  CHECK(result.status == 0);
  // The mark of names that are not UTF-8 is POSIX, but unknown to it.
  CHECK(result.output == "tar: Ignoring unknown extended header keyword 'hdrcharset'\n");
  CHECK(tree_difference(judged.fixture.path("out"), judged.fixture.path("upper")) == "");
}

TEST_CASE("bsdtar unpacks our tar to the same tree without a complaint", "[layerstore][tar]") {
  const Judged judged;
  const auto result = shell("cd " + judged.fixture.temp.path() +
                            " && LC_ALL=C.UTF-8 bsdtar --xattrs --numeric-owner -xpf ours.tar -C out");
  CHECK(result.output == "");
  run_in(judged.fixture.path("out"),
         "touch -d @1234567890 .");  // it leaves the folder that was there as it was
  CHECK(tree_difference(judged.fixture.path("out"), judged.fixture.path("upper")) == "");
}

TEST_CASE("Python unpacks our tar to the same names, types, modes, owners and times", "[layerstore][tar]") {
  const Judged judged;
  const auto list = [&](const std::string& folder) {
    return shell("cd " + judged.fixture.path(folder) +
                 " && find . -type l -printf '%p %U:%G %l\\n' -o ! -name setuid -printf '%p %y %m %U:%G "
                 "%T@\\n' | sort")
        .output;
  };
  run_in(judged.fixture.temp.path(),
         "python3 -c 'import tarfile\nwith tarfile.open(\"ours.tar\") as t: t.extractall(\"out\", "
         "numeric_owner=True)'");
  CHECK(list("out") == list("upper"));
}

TEST_CASE("umoci unpacks our tar to the same tree", "[layerstore][tar]") {
  const Judged judged(kAccessList);
  run_in(judged.fixture.temp.path(),
         "umoci init --layout oci && umoci new --image oci:x && "
         "umoci raw add-layer --image oci:x ours.tar && umoci unpack --image oci:x bundle");
  CHECK(tree_difference(judged.fixture.path("bundle/rootfs"), judged.fixture.path("upper")) == "");
}

TEST_CASE("our tar lists the same names in every reader", "[layerstore][tar]") {
  const Judged judged;
  const auto lines = [&](const std::string& command) {
    return std::stoul(
        shell("cd " + judged.fixture.temp.path() + " && exec 2>/dev/null && " + command).output);
  };
  const auto count = lines("find upper -printf x | wc -c");
  CHECK(lines("tar tf ours.tar --quoting-style=escape | wc -l") == count);
  CHECK(lines("bsdtar tf ours.tar | wc -l") == count);
  CHECK(lines("python3 -c 'import tarfile; print(len(tarfile.open(\"ours.tar\").getmembers()))'") == count);
}

}  // namespace lay::layerstore
