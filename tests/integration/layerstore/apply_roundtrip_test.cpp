#include <catch2/catch.hpp>
#include <string>

#include "overlay_fixture.h"
#include "tree_description.h"

namespace lay::layerstore {

namespace {

using test::apply_to;
using test::diff_of;
using test::OverlayFixture;
using test::OverlayMount;
using test::run_in;
using test::tree_difference;

constexpr const char* kEveryKind = R"sh(
umask 022
mkdir -p dir/sub sticky setgid readonly acl
echo content > dir/file; head -c 3000000 /dev/urandom > dir/big; : > empty
chmod 1777 sticky; chown 12:34 setgid; chmod 2755 setgid; touch setgid/child
cp /bin/true setuid; chmod 4711 setuid; cp /bin/true caps; setcap cap_net_raw+ep caps
echo x > readonly/inside; chmod 0 readonly/inside; chmod 555 readonly
ln dir/file hard1; ln dir/file dir/sub/hard2
ln -s ../nowhere dir/dangling; ln -s /etc/passwd absolute; ln absolute absolute2
mkfifo pipe; mknod null c 1 3; mknod disk b 259 1048575; chmod 666 null
chown 4294967294:3000000 empty; chown -h 7:8 absolute
setfattr -n user.text -v value dir/file; setfattr -n user.binary -v 0x000a3dff dir
setfattr -h -n trusted.link -v t absolute; setfattr -n trusted.fifo -v t pipe
setfacl -m u:33:rw,g:44:r empty; setfacl -m d:u:33:rwx,u:33:x acl; touch acl/inherits
: > "$(printf 'new\nline')"; : > "$(printf 'bad\377\376utf8')"; : > grüße; : > 'back\slash'; : > ' '
n=$(printf 'n%.0s' $(seq 255)); mkdir $n; echo deep > $n/$n; ln -s $n/$n/$n/$n long-link
touch -d @-100000000 pipe; touch -d @5000000000 dir/big; touch -h -d @1 absolute
touch -d @123456789 dir dir/sub readonly sticky .
)sh";

}  // namespace

TEST_CASE("every kind of entry survives the way into a tar and back", "[layerstore][apply]") {
  const OverlayFixture fixture;
  run_in(fixture.path("upper"), kEveryKind);
  const std::string tar = diff_of(fixture.path("upper"), TreeKind::plain);
  const ApplyStats stats = apply_to(fixture.path("layer"), tar);
  CHECK(tree_difference(fixture.path("layer"), fixture.path("upper")) == "");
  CHECK(stats.bytes == tar.size());
  CHECK((diff_of(fixture.path("layer"), TreeKind::plain) == tar));
}

TEST_CASE("a layer made of an upper shows the same merged view", "[layerstore][apply]") {
  OverlayFixture fixture;
  run_in(fixture.path("lower"),
         "mkdir -p etc/apt usr/lib var/log d1/d2 e; ln -s usr/lib lib; echo 1 > etc/a; "
         "echo 2 > etc/b; echo 3 > usr/lib/l; ln etc/a etc/a2; touch d1/d2/x d1/y e/f var/log/old");
  fixture.change(
      std::string("rm etc/b; echo new > lib/n; rm -r d1; mkdir -p d1/d2; echo z > d1/d2/z; rm -r e; "
                  "echo file > e; rm -r var/log; ln -s etc var/log; chmod 700 usr; chown 9:9 etc/a; "
                  "mv usr/lib/l usr/moved; mkdir kinds; cd kinds;") +
      kEveryKind);
  const std::string tar = diff_of(fixture.path("upper"));
  apply_to(fixture.path("layer"), tar);
  run_in(fixture.temp.path(), "mkdir original again");
  const std::string lower = fixture.path("lower");
  const OverlayMount original("lowerdir=" + fixture.path("upper") + ":" + lower, fixture.path("original"));
  const OverlayMount again("lowerdir=" + fixture.path("layer") + ":" + lower, fixture.path("again"));
  CHECK(tree_difference(fixture.path("again"), fixture.path("original")) == "");
  CHECK((diff_of(fixture.path("layer")) == tar));
}

TEST_CASE("tars of GNU tar, bsdtar and Python unpack to the tree they were made of", "[layerstore][apply]") {
  const OverlayFixture fixture;
  run_in(fixture.path("upper"), kEveryKind);
  run_in(fixture.path("upper"),
         "find . -exec touch -h -d @1234567890 {} +");  // whole seconds: not all keep more
  const std::string python =
      "python3 -c 'import tarfile\nwith tarfile.open(\"../out.tar\", \"w\", format=tarfile.";
  const std::string command = GENERATE_COPY(
      as<std::string>(),
      "tar --format=posix --xattrs --xattrs-include='*' --numeric-owner -cf ../out.tar -C upper .",
      "tar --format=gnu --numeric-owner -cf ../out.tar -C upper .",
      "LC_ALL=C.UTF-8 bsdtar --format=pax --numeric-owner -cf ../out.tar -C upper .",
      python + "PAX_FORMAT) as t: t.add(\"upper\", \".\")'",
      python + "GNU_FORMAT) as t: t.add(\"upper\", \".\")'");
  INFO(command);
  // Only GNU tar in its POSIX format says all that a layer can say.
  if (command.find("--format=posix") == std::string::npos)
    run_in(fixture.path("upper"),
           "rm absolute2; setfacl -R -b -k .; setcap -r caps; for f in dir dir/file absolute pipe; do "
           "for x in $(getfattr -h -m - $f | sed 1d); do setfattr -h -x $x $f; done; done;"
           "find . -exec touch -h -d @1234567890 {} +");
  run_in(fixture.temp.path(), "mkdir sub; cd sub; mv ../upper upper; " + command);
  const std::string tar = sys::read_all(sys::open_at(fixture.temp.fd(), "out.tar", O_RDONLY), 1U << 30U);
  apply_to(fixture.path("layer"), tar);
  CHECK(tree_difference(fixture.path("layer"), fixture.path("sub/upper")) == "");
}

}  // namespace lay::layerstore
