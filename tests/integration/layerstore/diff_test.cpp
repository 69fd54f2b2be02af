#include "layerstore/diff.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "error_of.h"
#include "overlay_fixture.h"
#include "tar/tar_reader.h"

namespace lay::layerstore {

namespace {

using test::diff_of;
using test::error_of;
using test::OverlayFixture;
using test::OverlayMount;
using test::run_in;

using Names = std::vector<std::string>;

std::vector<TarEntry> entries_of(const std::string& tar) {
  StringSource source(tar);
  TarReader reader(source);
  std::vector<TarEntry> entries;
  while (auto entry = reader.next()) entries.push_back(std::move(*entry));
  return entries;
}

Names names_of(const std::string& tar) {
  Names names;
  for (const TarEntry& entry : entries_of(tar)) names.push_back(entry.path);
  return names;
}

TarEntry entry_named(const std::string& tar, const std::string& path) {
  for (const TarEntry& entry : entries_of(tar))
    if (entry.path == path) return entry;
  FAIL("no entry " + path);
  return {};
}

}  // namespace

TEST_CASE("a folder comes before what it holds, removals first, then byte order", "[layerstore][diff]") {
  const OverlayFixture fixture;
  run_in(fixture.path("upper"), "mkdir b B; touch b/2 b/10 a a.b a-b Z; mknod zz c 0 0; mknod b/1 c 0 0");
  CHECK(names_of(diff_of(fixture.path("upper"))) ==
        Names{"./", ".wh.zz", "B/", "Z", "a", "a-b", "a.b", "b/", "b/.wh.1", "b/10", "b/2"});
}

TEST_CASE("what a merged view removed becomes whiteouts, what it replaced becomes opaque",
          "[layerstore][diff]") {
  OverlayFixture fixture;
  run_in(fixture.path("lower"), "mkdir d e; touch d/x e/x f");
  fixture.change("rm f; rm -r d; mkdir d; touch d/y; rm e/x");
  CHECK(names_of(diff_of(fixture.path("upper"))) ==
        Names{"./", ".wh.f", "d/", "d/.wh..wh..opq", "d/y", "e/", "e/.wh.x"});
}

TEST_CASE("a whiteout carries nothing but its name", "[layerstore][diff]") {
  const OverlayFixture fixture;
  run_in(fixture.path("upper"), "mknod gone c 0 0; chmod 640 gone; chown 5:6 gone; touch -d @77 gone");
  const TarEntry entry = entry_named(diff_of(fixture.path("upper")), ".wh.gone");
  CHECK(entry.type == EntryType::regular);
  CHECK(entry.mode == 0);
  CHECK(entry.uid == 0);
  CHECK(entry.mtime.tv_sec == 0);
  CHECK(entry.size == 0);
}

TEST_CASE("whiteouts that share an inode are not hard links", "[layerstore][diff]") {
  const OverlayFixture fixture;
  run_in(fixture.path("upper"), "mknod a c 0 0; ln a b");
  CHECK(names_of(diff_of(fixture.path("upper"))) == Names{"./", ".wh.a", ".wh.b"});
  CHECK(entry_named(diff_of(fixture.path("upper")), ".wh.b").type == EntryType::regular);
}

TEST_CASE("an empty file marked as whiteout is one only in a folder that says so", "[layerstore][diff]") {
  const OverlayFixture fixture;
  const auto* space = GENERATE("trusted", "user");
  run_in(fixture.path("upper"),
         std::string("mkdir x n; touch x/gone x/empty n/gone; echo data > x/data; S=") + space +
             "; setfattr -n $S.overlay.whiteout -v y x/gone n/gone x/data;"
             "setfattr -n $S.overlay.opaque -v x x");
  CHECK(names_of(diff_of(fixture.path("upper"))) ==
        Names{"./", "n/", "n/gone", "x/", "x/.wh.gone", "x/data", "x/empty"});
}

TEST_CASE("what a process wrote under user.overlay hides nothing", "[layerstore][diff]") {
  OverlayFixture fixture;
  run_in(fixture.path("lower"), "mkdir -p dpkg etc; touch dpkg/a etc/motd");
  const std::string script =
      "setfattr -n user.overlay.opaque -v y dpkg; touch dpkg/mine; setfattr -n user.overlay.opaque -v x etc; "
      ": > "
      "etc/motd; setfattr -n user.overlay.whiteout -v y etc/motd; touch f; setfattr -n user.overlay.metacopy "
      "-v 1 "
      "f; mkdir r; setfattr -n user.overlay.redirect -v /etc r";
  const Names all{"./", "dpkg/", "dpkg/mine", "etc/", "etc/motd", "f", "r/"};
  SECTION("the mount wrote marks of its own") {
    fixture.change(script);
  }
  SECTION("a mark deep inside tells how it was mounted") {
    run_in(fixture.path("upper"),
           "mkdir -p dpkg etc; " + script + "; setfattr -n trusted.overlay.impure -v y dpkg/mine");
  }
  CHECK(names_of(diff_of(fixture.path("upper"))) == all);
  run_in(fixture.path("upper"),
         "for x in impure origin opaque uuid; do find . -exec setfattr -h -x trusted.overlay.$x {} ';' "
         "2>/dev/null; done\n! getfattr -hRd -m trusted.overlay . | grep .");
  CHECK(names_of(diff_of(fixture.path("upper"), TreeKind::trusted_upper)) == all);
}

TEST_CASE("a path that is too long is told so, whatever marks there are", "[layerstore][diff]") {
  const OverlayFixture fixture;
  run_in(fixture.path("upper"), "setfattr -n user.overlay.opaque -v y .");
  UniqueFd folder = sys::open_dir(sys::cwd(), fixture.path("upper"));
  const std::string name(250, 'x');
  for (int i = 0; i < 18; ++i) {
    sys::mkdir_at(folder, name, 0755);
    folder = sys::open_dir(folder, name);
  }
  const Error error = error_of([&] { diff_of(fixture.path("upper")); });
  CHECK(error.code() == Errc::unsupported);
  CHECK_THAT(error.message(), Catch::Contains("longer than 4095 bytes"));
}

TEST_CASE("nothing of overlay's own extended attributes reaches the tar", "[layerstore][diff]") {
  const OverlayFixture fixture;
  run_in(fixture.path("upper"),
         "touch f; for x in origin impure nlink upper uuid protattr; do "
         "setfattr -n trusted.overlay.$x -v 1 f; setfattr -n user.overlay.$x -v 1 f; done;"
         "setfattr -n trusted.keep -v 1 f");
  const auto kind = GENERATE(TreeKind::upper, TreeKind::trusted_upper);
  const TarEntry entry = entry_named(diff_of(fixture.path("upper"), kind), "f");
  REQUIRE(entry.xattrs.size() == 1);
  CHECK(entry.xattrs[0].name == "trusted.keep");
}

TEST_CASE("an extended attribute of a nested overlay is in the tar as a lower has it", "[layerstore][diff]") {
  const OverlayFixture fixture;
  const auto names_of_f = [&](const std::string& names, TreeKind kind) {
    run_in(fixture.path("upper"), "rm -f f; touch f; for x in " + names + "; do setfattr -n $x -v 1 f; done");
    std::string found;
    for (const Xattr& xattr : entry_named(diff_of(fixture.path("upper"), kind), "f").xattrs)
      found += xattr.name + "\n";
    return found;
  };
  const std::string twice = "trusted.overlay.overlay.overlay.opaque\n";
  const auto upper = GENERATE(TreeKind::upper, TreeKind::trusted_upper);
  CHECK(names_of_f("trusted.overlay.overlay.origin trusted.overlay.overlay.overlay.opaque trusted.overlay.x",
                   upper) == "trusted.overlay.overlay.origin\n" + twice);
  CHECK(names_of_f("trusted.overlay.origin trusted.overlay.overlay.opaque user.overlay.x", TreeKind::plain) ==
        "trusted.overlay.overlay.origin\n" + twice);
  CHECK(names_of_f("trusted.overlay.origin trusted.overlay.overlay.opaque", TreeKind::live) ==
        "trusted.overlay.origin\ntrusted.overlay.overlay.opaque\n");
  CHECK(names_of_f("user.overlay.overlay.opaque", TreeKind::upper) == "user.overlay.overlay.opaque\n");
}

TEST_CASE("an attribute whose name is too long once it is escaped is refused", "[layerstore][diff]") {
  const OverlayFixture fixture;
  run_in(fixture.path("upper"), "touch f; setfattr -n trusted.overlay." + std::string(255 - 16, 'n') + " f");
  CHECK(error_of([&] { diff_of(fixture.path("upper"), TreeKind::plain); }).code() == Errc::unsupported);
}

TEST_CASE("a file whose name stands for a removal is unsupported", "[layerstore][diff]") {
  const OverlayFixture fixture;
  const auto* name = GENERATE(".wh.x", ".wh.", ".wh..wh..opq");
  run_in(fixture.path("upper"), std::string("touch ") + name);
  const auto kind = GENERATE(TreeKind::upper, TreeKind::plain);
  CHECK(error_of([&] { diff_of(fixture.path("upper"), kind); }).code() == Errc::unsupported);
}

TEST_CASE("a char 0:0 node in a plain folder is unsupported", "[layerstore][diff]") {
  const OverlayFixture fixture;
  run_in(fixture.path("upper"), "mknod n c 0 0");
  CHECK(error_of([&] { diff_of(fixture.path("upper"), TreeKind::plain); }).code() == Errc::unsupported);
}

TEST_CASE("sockets are counted and left out", "[layerstore][diff]") {
  const OverlayFixture fixture;
  run_in(fixture.path("upper"), "touch f");
  const UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_un address{.sun_family = AF_UNIX};
  fixture.path("upper/socket").copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  StringSink sink;
  const DiffStats stats = write_diff(sys::open_dir(sys::cwd(), fixture.path("upper")), TreeKind::upper, sink);
  CHECK(stats.skipped_sockets == 1);
  CHECK(stats.entries == 2);
  CHECK(stats.bytes == sink.text().size());
  CHECK(names_of(sink.text()) == Names{"./", "f"});
}

TEST_CASE("of several names of an inode the first carries what it holds", "[layerstore][diff]") {
  const OverlayFixture fixture;
  run_in(fixture.path("upper"),
         "mkdir d; echo data > d/z; ln d/z b; ln d/z c; ln -s x s1; ln s1 s2; mkfifo p1; ln p1 p2");
  const std::string tar = diff_of(fixture.path("upper"));
  CHECK(names_of(tar) == Names{"./", "b", "c", "d/", "d/z", "p1", "p2", "s1", "s2"});
  CHECK(entry_named(tar, "b").size == 5);
  for (const char* name : {"c", "d/z"}) {
    CHECK(entry_named(tar, name).type == EntryType::hardlink);
    CHECK(entry_named(tar, name).link == "b");
  }
  CHECK(entry_named(tar, "s2").link == "s1");
  CHECK(entry_named(tar, "p2").type == EntryType::hardlink);
}

TEST_CASE("times are whole seconds, rounded down, before 1970 and after 2038 too", "[layerstore][diff]") {
  const OverlayFixture fixture;
  run_in(fixture.path("upper"), "touch -d @-1.5 a; touch -d @5000000000.9 b; touch -d @0.999 c");
  const std::string tar = diff_of(fixture.path("upper"));
  CHECK(entry_named(tar, "a").mtime.tv_sec == -2);
  CHECK(entry_named(tar, "b").mtime.tv_sec == 5000000000);
  CHECK(entry_named(tar, "c").mtime.tv_sec == 0);
  CHECK(entry_named(tar, "a").mtime.tv_nsec == 0);
}

TEST_CASE("what is mounted inside is written as an empty folder or file", "[layerstore][diff]") {
  const OverlayFixture fixture;
  run_in(fixture.path("upper"), "mkdir m b; echo covered > f");
  run_in(fixture.path("lower"), "touch secret");
  REQUIRE(::mount("tmpfs", fixture.path("upper/m").c_str(), "tmpfs", 0, nullptr) == 0);
  REQUIRE(::mount(fixture.path("lower").c_str(), fixture.path("upper/b").c_str(), nullptr, MS_BIND,
                  nullptr) == 0);
  REQUIRE(::mount("/etc/hostname", fixture.path("upper/f").c_str(), nullptr, MS_BIND, nullptr) == 0);
  run_in(fixture.path("upper"), "touch m/inside");
  StringSink sink;
  const DiffStats stats = write_diff(sys::open_dir(sys::cwd(), fixture.path("upper")), TreeKind::plain, sink);
  const std::string& tar = sink.text();
  for (const char* name : {"m", "b", "f"}) ::umount(fixture.path(std::string("upper/") + name).c_str());
  CHECK(names_of(tar) == Names{"./", "b/", "f", "m/"});
  CHECK(entry_named(tar, "f").size == 0);
  CHECK(stats.mount_points == Names{"b", "f", "m"});
}

TEST_CASE("of many mounts the first few are named, and the others counted", "[layerstore][diff]") {
  const OverlayFixture fixture;
  run_in(fixture.path("upper"), "for i in $(seq 10 19); do mkdir $i; mount -t tmpfs lay-test $i; done");
  StringSink sink;
  const DiffStats stats = write_diff(sys::open_dir(sys::cwd(), fixture.path("upper")), TreeKind::plain, sink);
  run_in(fixture.path("upper"), "for i in $(seq 10 19); do umount $i; done");
  CHECK(stats.mount_points == Names{"10", "11", "12", "13", "14", "15", "16", "17"});
  CHECK(stats.more_mount_points == 2);
}

TEST_CASE("of an upper, what lies beneath a mount is written, as overlay shows it", "[layerstore][diff]") {
  const OverlayFixture fixture;
  run_in(fixture.path("upper"),
         "mkdir -m 700 m; mkdir m/in; echo under > m/in/f; echo file > f; mknod gone c 0 0; mkdir deep; "
         "d=deep; for i in $(seq 100); do d=$d/d; done; mkdir -p $d; echo x > $d/x; mkfifo p; ln f m/hard");
  const std::string before = diff_of(fixture.path("upper"));
  std::vector<std::string> mounted;
  const auto cover = [&](const char* name, const char* source, const char* type, unsigned long flags) {
    const std::string place = fixture.path(std::string("upper/") + name);
    REQUIRE(::mount(source, place.c_str(), type, flags, type == nullptr ? nullptr : "mode=1777,uid=55") == 0);
    mounted.push_back(place);
  };
  cover("m", "tmpfs", "tmpfs", 0);
  cover("deep", "tmpfs", "tmpfs", 0);
  for (const char* name : {"f", "gone", "p"}) cover(name, "/etc/hostname", nullptr, MS_BIND);
  const std::string after = diff_of(fixture.path("upper"));
  for (const std::string& place : mounted) ::umount(place.c_str());
  CHECK((before == after));
}

TEST_CASE("a change that overlay's index keeps without a name in the upper is not left out silently",
          "[layerstore][diff]") {
  OverlayFixture fixture;
  run_in(fixture.path("lower"), "echo old > a; ln a b; ln -s x s; ln s t; touch other");
  SECTION("changed, and the changed name removed") {
    fixture.change("echo new > a; rm a; [ $(cat b) = new ]", "index=on");
    const Error error = error_of([&] { diff_of(fixture.path("upper")); });
    CHECK(error.code() == Errc::unsupported);
    CHECK_THAT(error.hint(), Catch::Contains("index=off"));
    fixture.change("[ $(cat b) = new ]; cp b c; mv c b", "index=on");
    CHECK(names_of(diff_of(fixture.path("upper"))) == Names{"./", ".wh.a", "b"});
  }
  SECTION("other attributes, and the changed name removed") {
    fixture.change("chown -h 5:6 s; rm s", "index=on");
    CHECK(error_of([&] { diff_of(fixture.path("upper")); }).code() == Errc::unsupported);
  }
  SECTION("removed alone") {
    fixture.change("rm a s", "index=on");
    CHECK(names_of(diff_of(fixture.path("upper"))) == Names{"./", ".wh.a", ".wh.s"});
  }
  SECTION("removed alone, of a mount that copies metadata only") {
    fixture.change("rm a s", "index=on,metacopy=on");
    CHECK(names_of(diff_of(fixture.path("upper"))) == Names{"./", ".wh.a", ".wh.s"});
  }
  SECTION("other metadata, and the changed name removed") {
    fixture.change("chown 5:6 a; rm a", "index=on,metacopy=on");
    CHECK(error_of([&] { diff_of(fixture.path("upper")); }).code() == Errc::unsupported);
  }
  SECTION("an index that is not beside the upper is told") {
    const auto lacks_index = [&] {
      StringSink sink;
      return write_diff(sys::open_dir(sys::cwd(), fixture.path("upper")), TreeKind::upper, sink).lacks_index;
    };
    CHECK_FALSE(lacks_index());
    fixture.change("echo x > other", "index=on");
    CHECK_FALSE(lacks_index());
    run_in(fixture.temp.path(), "mkdir aside; mv work aside");
    CHECK(lacks_index());
  }
  SECTION("all names removed") {
    fixture.change("echo new > a; rm a b", "index=on");
    CHECK(names_of(diff_of(fixture.path("upper"))) == Names{"./", ".wh.a", ".wh.b"});
  }
  SECTION("another upper's index says nothing of this one") {
    fixture.change("echo new > a; rm a", "index=on");
    run_in(fixture.temp.path(), "mkdir second work2 merged2");
    {
      const OverlayMount mount("lowerdir=" + fixture.path("lower") + ",upperdir=" + fixture.path("second") +
                                   ",workdir=" + fixture.path("work2") + ",index=on",
                               fixture.path("merged2"));
      run_in(fixture.path("merged2"), "echo x > other");
    }
    CHECK(names_of(diff_of(fixture.path("second"))) == Names{"./", "other"});
  }
}

TEST_CASE("the same folder gives the same bytes under another umask, locale, time zone and time",
          "[layerstore][diff]") {
  const OverlayFixture fixture;
  run_in(fixture.path("upper"),
         "mkdir gr\xc3\xbc\xc3\x9f; echo x > \"$(printf 'bad\\377')\"; ln -s \xc3\xa4 l; "
         "setfattr -n user.b -v 1 .; setfattr -n user.a -v 2 .");
  const std::string first = diff_of(fixture.path("upper"));
  const mode_t mask = ::umask(0777);
  REQUIRE(std::setlocale(LC_ALL, "C.UTF-8") != nullptr);
  ::setenv("TZ", "Asia/Kathmandu", 1);
  const std::string second = diff_of(fixture.path("upper"));
  ::unsetenv("TZ");
  std::setlocale(LC_ALL, "C");
  ::umask(mask);
  CHECK((first == second));
  run_in(fixture.temp.path(), "cp -a upper copy");  // other inodes, another order on disk
  CHECK((first == diff_of(fixture.path("copy"))));
}

TEST_CASE("a file that is not as long as it says changed while it was read", "[layerstore][diff]") {
  const Error grew =
      error_of([] { diff_of("/proc/sys/kernel/random", TreeKind::plain); });  // all say 0 bytes
  CHECK(grew.code() == Errc::io);
  CHECK_THAT(grew.message(), Catch::Contains("grew beyond its 0 bytes"));
  const Error shrank =
      error_of([] { diff_of("/sys/devices/virtual/mem/null", TreeKind::plain); });  // all say 4096
  CHECK(shrank.code() == Errc::io);
  CHECK_THAT(shrank.message(), Catch::Contains("shrank below its 4096 bytes"));
}

TEST_CASE("a deep tree needs neither stack nor open files for every level", "[layerstore][diff]") {
  const OverlayFixture fixture;
  run_in(fixture.path("upper"), "i=0; while [ $i -lt 1500 ]; do mkdir d; touch f; cd ./d; i=$((i+1)); done");
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit few{.rlim_cur = 256, .rlim_max = before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
  const Names names = names_of(diff_of(fixture.path("upper")));
  ::setrlimit(RLIMIT_NOFILE, &before);
  CHECK(names.size() == 3001);
  CHECK(names.back() == "f");
}

TEST_CASE("a name that is swapped with a symlink meanwhile never leads outside", "[layerstore][diff]") {
  const OverlayFixture fixture;
  run_in(fixture.temp.path(),
         "mkdir canary upper/d; echo SECRET > canary/f; echo SECRET > canary-file; "
         "touch upper/f upper/d/f; ln -s ../canary-file upper/f2; ln -s ../canary upper/d2");
  const UniqueFd upper = sys::open_dir(sys::cwd(), fixture.path("upper"));
  std::atomic<bool> stop = false;
  std::thread attacker([&] {
    while (!stop)
      for (const auto& [a, b] : {std::pair("f", "f2"), std::pair("d", "d2")})
        ::renameat2(upper.get(), a, upper.get(), b, RENAME_EXCHANGE);
  });
  int finished = 0;
  bool leaked = false;
  for (int i = 0; i < 2000; ++i) {
    StringSink sink;
    try {
      write_diff(upper, TreeKind::upper, sink);
      ++finished;
    } catch (const Error& error) {  // replaced while it was read
      leaked = leaked || error.code() != Errc::io;
    }
    leaked = leaked || sink.text().find("SECRET") != std::string::npos;
  }
  stop = true;
  attacker.join();
  CHECK_FALSE(leaked);
  INFO(finished << " of 2000 finished");
  CHECK(finished < 2000);  // else the race was never met
}

TEST_CASE("a path that nobody could unpack is unsupported", "[layerstore][diff]") {
  const OverlayFixture fixture;
  run_in(fixture.path("upper"),
         "python3 -c 'import os\nfor i in range(20): os.mkdir(\"d\" * 240); os.chdir(\"d\" * 240)'");
  CHECK(error_of([&] { diff_of(fixture.path("upper")); }).code() == Errc::unsupported);
}

}  // namespace lay::layerstore
