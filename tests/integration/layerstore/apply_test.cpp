#include "layerstore/apply.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "erofs/tree_builder.h"
#include "error_of.h"
#include "overlay_fixture.h"
#include "skip.h"
#include "tar/foreign_archive.h"
#include "tar/layer_records.h"
#include "tar_builder.h"
#include "tree_description.h"

namespace lay::layerstore {

namespace {

using test::apply_to;
using test::error_of;
using test::pax_record;
using test::run_in;
using test::shell;
using test::tar_end_mark;
using test::tar_file;
using test::tar_folder;
using test::tar_hard_link;
using test::tar_member;
using test::tar_pax;
using test::tar_symlink;
using test::tree_difference;

/// A target beside things that no layer may touch or see.
struct Target {
  test::TempFolder temp;
  std::string canary;  ///< what stood there before, times of change included

  Target() {
    run_in(temp.path(),
           "mkdir -m 700 layer; mkdir canary; cd canary; mkdir d; echo secret > file; cp /bin/true suid; "
           "chmod 4755 suid; mkfifo fifo; ln -s file link");
    canary = canary_now();
  }
  std::string layer() const { return temp.path() + "/layer"; }
  std::string canary_now() const {
    return shell("cd " + temp.path() + "/canary && find . -printf '%p %y %m %U %n %T@ %C@ %l\\n' | sort")
               .output +
           shell("ls " + temp.path()).output;
  }
  void apply(const std::string& members) const { apply_to(layer(), members + tar_end_mark()); }
  /// Names in the layer with type and link target, one a line.
  std::string names() const {
    return shell("cd " + layer() + " && find . -mindepth 1 -printf '%P %y %l\\n' | sort").output;
  }
  std::string text(const std::string& path) const { return shell("cat " + layer() + "/" + path).output; }
  Errc refusal_of(const std::string& members) const {
    return error_of([&] { apply(members); }).code();
  }
};

}  // namespace

TEST_CASE("an entry that names a place outside is invalid and nothing outside changes",
          "[layerstore][apply]") {
  const Target target;
  std::string many;
  for (int i = 0; i < 1365; ++i) many += "../";
  for (const std::string& path : {std::string("../canary/x"), std::string("a/../../canary/x"),
                                  std::string("/.."), std::string("/./../canary/x"), many + "x"})
    CHECK(target.refusal_of(test::tar_gnu_long('L', path) + tar_file("x")) == Errc::invalid);
  CHECK(target.canary_now() == target.canary);
}

TEST_CASE("absolute paths and dots land beneath the target", "[layerstore][apply]") {
  const Target target;
  target.apply(tar_file("/etc/a") + tar_file("./b") + tar_file(".//c"));
  CHECK(target.names() == "b f \nc f \netc d \netc/a f \n");
}

TEST_CASE("files behind symlinks that lead out land beneath the target", "[layerstore][apply]") {
  const Target target;
  const std::string canary = target.temp.path() + "/canary";
  const std::string link =
      GENERATE_COPY(as<std::string>(), canary, "../canary", "../../../../../../" + canary);
  target.apply(tar_symlink("d", link) + tar_symlink("e", "d") + tar_symlink("f", "/e") +
               tar_file("f/file", "new") + tar_file("d/other", "new"));
  CHECK(target.canary_now() == target.canary);
  CHECK(target.text("$(cd " + target.layer() + "; find . -name other)") == "new");
}

TEST_CASE("a symlink in the place of a folder is followed within the layer", "[layerstore][apply]") {
  const Target target;
  target.apply(tar_folder("usr/") + tar_folder("usr/lib/") + tar_symlink("lib", "usr/lib") +
               tar_file("lib/x"));
  CHECK(target.names() == "lib l usr/lib\nusr d \nusr/lib d \nusr/lib/x f \n");
}

TEST_CASE("a symlink to a folder that only a lower layer has leads to that folder", "[layerstore][apply]") {
  const Target target;
  target.apply(tar_symlink("lib", "usr/./lib") + tar_symlink("a", "lib/../share") + tar_file("lib/x") +
               tar_file("a/y"));
  CHECK(
      target.names() ==
      "a l lib/../share\nlib l usr/./lib\nusr d \nusr/lib d \nusr/lib/x f \nusr/share d \nusr/share/y f \n");
}

TEST_CASE("the root of a layer can only be a folder", "[layerstore][apply]") {
  const Target target;
  for (const char* root : {".", "./", "/.", "/"}) {
    CHECK(target.refusal_of(tar_symlink(root, "../canary")) == Errc::invalid);
    CHECK(target.refusal_of(tar_hard_link(root, "x")) == Errc::invalid);
  }
  CHECK(target.refusal_of(tar_symlink("..", "../canary")) == Errc::invalid);
  CHECK(target.canary_now() == target.canary);
}

TEST_CASE("a hard link to a file outside, or to none, is invalid", "[layerstore][apply]") {
  const Target target;
  const std::string canary = target.temp.path() + "/canary";
  CHECK(target.refusal_of(tar_hard_link("h", canary + "/file")) == Errc::invalid);
  CHECK(target.refusal_of(tar_hard_link("h", "../canary/file")) == Errc::invalid);
  CHECK(target.refusal_of(tar_symlink("d", canary) + tar_hard_link("h", "d/file")) == Errc::invalid);
  CHECK(target.refusal_of(tar_hard_link("h", "later") + tar_file("later")) == Errc::invalid);
  CHECK(target.refusal_of(tar_file(".wh.gone", "") + tar_hard_link("h", "gone")) == Errc::invalid);
  CHECK(target.refusal_of(tar_folder("dir/") + tar_hard_link("h", "dir")) == Errc::invalid);
  CHECK(target.canary_now() == target.canary);
}

TEST_CASE("a hard link to a symlink links the symlink", "[layerstore][apply]") {
  const Target target;
  target.apply(tar_symlink("s", "/etc/passwd") + tar_hard_link("h", "s"));
  CHECK(shell("stat -c '%N %h' " + target.layer() + "/h").output ==
        "'" + target.layer() + "/h' -> '/etc/passwd' 2\n");
}

TEST_CASE("a hard link to itself changes nothing", "[layerstore][apply]") {
  const Target target;
  target.apply(tar_file("a", "text") + tar_hard_link("a", "a") + tar_hard_link("b", "a") +
               tar_hard_link("b", "./a"));
  CHECK(target.text("a") == "text");
  CHECK(shell("stat -c %h " + target.layer() + "/a").output == "2\n");
}

TEST_CASE("a later entry takes the place of an earlier one, folders keep what they hold",
          "[layerstore][apply]") {
  const Target target;
  target.apply(tar_file("a", "1") + tar_folder("a/") + tar_file("a/x") +      // file, then folder
               tar_folder("b/") + tar_file("b/x") + tar_symlink("b", "a") +   // folder, then symlink
               tar_symlink("c", "a") + tar_folder("c/") + tar_file("c/y") +   // symlink, then folder
               tar_folder("d/") + tar_file("d/x") + tar_file("d", "2") +      // full folder, then file
               tar_folder("e/", 0700) + tar_file("e/x") + tar_folder("e/") +  // folder, then folder
               tar_file("f", "long text") + tar_file("f", "3"));              // file, then file
  CHECK(target.names() == "a d \na/x f \nb l a\nc d \nc/y f \nd f \ne d \ne/x f \nf f \n");
  CHECK(target.text("f") == "3");
  CHECK(shell("stat -c %a " + target.layer() + "/e").output == "755\n");
}

TEST_CASE("symlinks in a circle are refused at once", "[layerstore][apply]") {
  const Target target;
  CHECK_THROWS_AS(target.apply(tar_symlink("a", "b") + tar_symlink("b", "a") + tar_file("a/x")), Error);
  CHECK_THROWS_AS(target.apply(tar_symlink("self", "self/y") + tar_file("self/x")), Error);
  std::string chain;
  for (int i = 0; i < 60; ++i) chain += tar_symlink("l" + std::to_string(i), "l" + std::to_string(i + 1));
  CHECK_THROWS_AS(target.apply(chain + tar_folder("l60/") + tar_file("l0/x")), Error);
}

TEST_CASE("symlinks that add up to a path nobody could reach are refused", "[layerstore][apply]") {
  const Target target;
  std::string long_way;
  for (int i = 0; i < 1500; ++i) long_way += "d/";
  const std::string link = test::tar_gnu_long('L', long_way + "link") + test::tar_gnu_long('K', long_way) +
                           tar_symlink("cut", "cut");
  CHECK(target.refusal_of(link + test::tar_gnu_long('L', long_way + "link/x") + tar_file("cut")) ==
        Errc::invalid);
}

TEST_CASE("a symlink that leads through a name nobody could make is refused", "[layerstore][apply]") {
  const Target target;
  const std::string link = test::tar_gnu_long('K', std::string(256, 'n')) + tar_symlink("link", "cut");
  CHECK(target.refusal_of(link + tar_file("link/x")) == Errc::invalid);
}

TEST_CASE("an entry below something that is no folder is invalid", "[layerstore][apply]") {
  const Target target;
  CHECK(target.refusal_of(tar_file("f") + tar_file("f/x")) == Errc::invalid);
  CHECK(target.refusal_of(tar_member({.name = "p", .type = '6'}) + tar_file("p/x")) == Errc::invalid);
  CHECK(target.refusal_of(tar_member({.name = "n", .type = '3', .major = 1, .minor = 3}) + tar_file("n/x")) ==
        Errc::invalid);
}

TEST_CASE("a file takes the place of a fifo without opening it", "[layerstore][apply]") {
  const Target target;
  target.apply(tar_member({.name = "p", .type = '6'}) + tar_file("p", "text"));
  CHECK(target.text("p") == "text");
}

TEST_CASE("odd names are kept byte for byte", "[layerstore][apply]") {
  const Target target;
  for (const std::string& name :
       {std::string("new\nline"), std::string("\x1b[2J"), std::string("\xff\xfe"), std::string("back\\slash"),
        std::string("u\xcc\x88"), std::string("\xc3\xbc"), std::string(255, 'n'), std::string("A"),
        std::string("a")}) {
    target.apply(test::tar_gnu_long('L', name) + tar_file("cut"));
    CHECK(sys::try_stat_at(sys::open_dir(sys::cwd(), target.layer()), name));
  }
}

TEST_CASE("a char 0:0 node in a tar is invalid", "[layerstore][apply]") {
  const Target target;
  CHECK(target.refusal_of(tar_member({.name = "n", .type = '3'})) == Errc::invalid);
}

TEST_CASE("marks of an overlay in a tar are left out, and those of a nested one kept",
          "[layerstore][apply]") {
  const Target target;
  std::string records;
  for (const char* space : {"trusted.", "user."})
    for (const char* name : {"redirect", "opaque", "metacopy", "whiteout", "protattr", "overlay.opaque",
                             "overlay.overlay.opaque"})
      records += test::pax_record(std::string("SCHILY.xattr.") + space + "overlay." + name, "y");
  records += test::pax_record("SCHILY.xattr.trusted.kept", "1");
  target.apply(test::tar_pax(records) + tar_folder("d/") + test::tar_pax(records) + tar_file("f") +
               test::tar_pax(records) + tar_folder("./") +
               test::tar_pax(test::pax_record("SCHILY.xattr.trusted.overlay.opaque", "y") +
                             test::pax_record("SCHILY.xattr.trusted.overlay.overlay.opaque", "y")) +
               tar_symlink("s", "f"));
  std::string kept = "trusted.kept\n";
  for (const char* space : {"trusted.", "user."})
    for (const char* name : {"overlay.opaque", "overlay.overlay.opaque"})
      kept += std::string(space) + "overlay." + name + "\n";
  const auto names_at = [&](const char* path) {
    return shell("cd " + target.layer() + " && getfattr -h -m - " + path +
                 " | grep -v '^#\\|^$' | LC_ALL=C sort")
        .output;
  };
  CHECK(names_at(".") == kept);
  CHECK(names_at("d") == kept);
  CHECK(names_at("f") == kept);
  CHECK(names_at("s") == "trusted.overlay.overlay.opaque\n");
}

TEST_CASE("a root gets the attributes of a nested overlay as an overlay would show them",
          "[layerstore][apply]") {
  const Target target;
  std::string records;
  for (const char* name : {"opaque", "overlay.opaque", "overlay.overlay.opaque"})
    records += test::pax_record(std::string("SCHILY.xattr.trusted.overlay.") + name, "y");
  const std::string tar = test::tar_pax(records) + tar_file("f") + test::tar_end_mark();
  StringSource source(tar);
  const UniqueFd root = sys::open_dir(sys::cwd(), target.layer());
  apply_layer(source, root, {.target = ApplyTarget::root});
  CHECK(sys::list_xattrs(sys::open_at(root, "f", O_RDONLY)) ==
        std::vector<std::string>{"trusted.overlay.opaque", "trusted.overlay.overlay.opaque"});
}

TEST_CASE("owner, suid, capabilities and times end as the tar says", "[layerstore][apply]") {
  const Target target;
  const std::string capability(
      "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 20);
  target.apply(test::tar_pax(test::pax_record("uid", "1000") + test::pax_record("gid", "77777777") +
                             test::pax_record("mtime", "-5.25") +
                             test::pax_record("SCHILY.xattr.security.capability", capability)) +
               tar_member({.name = "f", .data = "text", .mode = 06755}));
  CHECK(shell("cd " + target.layer() + "; stat -c '%a %u:%g %.2Y' f; getcap f").output ==
        "6755 1000:77777777 -5.25\nf cap_net_raw=ep\n");
}

TEST_CASE("folders can be filled whatever their mode and keep the time the tar says", "[layerstore][apply]") {
  const Target target;
  target.apply(tar_folder("./", 0711) + tar_folder("d/", 0555) + tar_folder("d/e/", 0) + tar_file("d/e/f") +
               tar_file("g"));
  CHECK(shell("cd " + target.layer() + "; stat -c '%a %Y' . d d/e").output ==
        "711 1000000000\n555 1000000000\n0 1000000000\n");
}

TEST_CASE("folders that the tar only implies are root's, 0755, and always the same", "[layerstore][apply]") {
  const Target target;
  const mode_t mask = ::umask(0777);
  target.apply(tar_file("a/b/c"));
  ::umask(mask);
  CHECK(shell("cd " + target.layer() + "; stat -c '%n %a %u:%g %Y' . a a/b a/b/c").output ==
        ". 755 0:0 0\na 755 0:0 0\na/b 755 0:0 0\na/b/c 644 0:0 1000000000\n");
}

TEST_CASE("an access list on the store's folder does not reach into a layer", "[layerstore][apply]") {
  const Target target;
  run_in(target.layer(), "setfacl -m d:u:33:rwx,u:33:rwx .");
  target.apply(tar_folder("d/") + tar_file("d/f"));
  CHECK(shell("cd " + target.layer() + "; getfattr -m - -R .").output == "");
}

TEST_CASE("a default access list of a folder is not inherited by what the tar puts there",
          "[layerstore][apply]") {
  const Target target;
  run_in(target.temp.path(), "mkdir -p src/d; touch src/d/f; setfacl -m d:u:33:rwx src/d");
  apply_to(target.layer(), test::diff_of(target.temp.path() + "/src", TreeKind::plain));
  CHECK(shell("cd " + target.layer() + "; getfattr -m - -R .").output ==
        "# file: d\nsystem.posix_acl_default\n\n");
}

TEST_CASE("device numbers of a layer are made as they are", "[layerstore][apply]") {
  const Target target;
  target.apply(tar_member({.name = "disk", .type = '4', .mode = 0660, .major = 8, .minor = 1}) +
               tar_member({.name = "mem", .type = '3', .mode = 0600, .major = 1, .minor = 1}));
  CHECK(shell("cd " + target.layer() + "; stat -c '%F %a %t:%T' disk mem").output ==
        "block special file 660 8:1\ncharacter special file 600 1:1\n");
}

TEST_CASE("a name of a thousand levels is unpacked, one of a hundred thousand is invalid",
          "[layerstore][apply]") {
  const Target target;
  std::string path;
  for (int i = 0; i < 1000; ++i) path += "a/";
  target.apply(test::tar_gnu_long('L', path + "f") + tar_file("cut"));
  CHECK(shell("find " + target.layer() + " | wc -l").output == "1002\n");
  for (int i = 0; i < 99000; ++i) path += "a/";
  CHECK(target.refusal_of(test::tar_gnu_long('L', path + "f") + tar_file("cut")) == Errc::invalid);
}

TEST_CASE("what follows the end is read but not unpacked", "[layerstore][apply]") {
  const Target target;
  const std::string tar = tar_file("a") + tar_end_mark() + tar_file("b") + "odd";
  CHECK(apply_to(target.layer(), tar).bytes == tar.size());
  CHECK(target.names() == "a f \n");
}

TEST_CASE("layers are unpacked side by side without touching one another", "[layerstore][apply]") {
  const Target target;
  std::string tar = tar_symlink("s", "../canary");
  for (int i = 0; i < 200; ++i)
    tar += tar_file("s/" + std::to_string(i)) + tar_folder("d" + std::to_string(i), 0777);
  tar += tar_end_mark();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    const std::string folder = target.temp.path() + "/layer/" + std::to_string(i);
    run_in(target.temp.path(), "mkdir -m 700 " + folder);
    threads.emplace_back([&tar, folder] { apply_to(folder, tar); });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(target.canary_now() == target.canary);
  for (const char* i : {"/1", "/2", "/3"})
    CHECK(tree_difference(target.layer() + "/0", target.layer() + i) == "");
}

TEST_CASE("the access lists of GNU tar's and bsdtar's archives are kept", "[layerstore][apply]") {
  const auto* pack = GENERATE("tar --acls -cf", "tar --xattrs --xattrs-include='*' --acls -cf", "bsdtar -cf",
                              "bsdtar --format=pax -cf", "tar --acls -cJf", "bsdtar -cjf");
  CAPTURE(pack);
  const Target target;
  run_in(
      target.temp.path(),
      "mkdir -p src/d; echo x > src/f; echo y > src/d/g; chmod 666 src/f; setfacl -m u:1234:r,g:77:rw,m::rw "
      "src/f; setfacl -m g::r src/f; setfacl -d -m u:70000:rwx src/d; " +
          std::string(pack) + " archive -C src .");
  const UniqueFd file = sys::open_at(target.temp.fd(), "archive", O_RDONLY);
  FdSource source(file);
  StringSink tar;
  if (std::string_view(pack).find('J') != std::string_view::npos ||
      std::string_view(pack).find('j') != std::string_view::npos)
    rewrite_foreign_archive(source, tar);
  else
    copy_as_layer(source, tar);
  apply_to(target.layer(), tar.text());
  const auto lists = [&](const std::string& folder) {
    return test::shell("cd " + folder + " && getfacl -R -n . && stat -c '%n %a' f d d/g").output;
  };
  CHECK(lists(target.layer()) == lists(target.temp.path() + "/src"));
}

TEST_CASE("both forms refuse what the kernel would not store", "[layerstore][apply]") {
  using namespace std::string_literals;
  const std::string acl_head = "\2\0\0\0"s;
  const std::string user = "\1\0\6\0\xff\xff\xff\xff"s;
  const std::string group = "\4\0\4\0\xff\xff\xff\xff"s;
  const std::string mask = "\x10\0\4\0\xff\xff\xff\xff"s;
  const std::string other = "\x20\0\4\0\xff\xff\xff\xff"s;
  const std::string named = "\2\0\4\0\x21\0\0\0"s;
  const std::string capability = "\1\0\0\2"s + std::string(16, '\0');
  const std::string access = "SCHILY.xattr.system.posix_acl_access";
  const std::vector<std::pair<std::string, std::string>> junk{
      {access, "junk"},
      {access, acl_head},
      {access, acl_head + user},
      {access, acl_head + group + user + other},
      {access, acl_head + user + named + group + other},  // a named user needs a mask
      {access, "\1\0\0\0"s + user + group + other},
      {"SCHILY.xattr.system.posix_acl_default", acl_head + user + group + other},  // on a file
      {"SCHILY.xattr.security.capability", "junk"},
      {"SCHILY.xattr.security.capability", capability + "x"},
      {"SCHILY.xattr.security.capability", "\0\0\0\1"s + std::string(8, '\0')},
      {"SCHILY.xattr.user.big", std::string(65537, 'x')},
  };
  for (const auto& [key, value] : junk) {
    CAPTURE(key, lay::printable(value.substr(0, 80)));
    const Error error = error_of(
        [&] { Target().apply(tar_pax(pax_record(key, value)) + tar_member({.name = "the-entry"})); });
    CHECK(error.message().find("the-entry") != std::string::npos);
  }
  Target().apply(tar_pax(pax_record(access, acl_head + user + named + group + mask + other)) +
                 tar_file("acl") + tar_pax(pax_record("SCHILY.xattr.security.capability", capability)) +
                 tar_file("capability"));
}

TEST_CASE("more hard links than the file system takes are told with what takes more", "[layerstore][apply]") {
  const Target target;
  if (::pathconf(target.layer().c_str(), _PC_LINK_MAX) > 65000)
    SKIP_TEST("the file system of /var/tmp takes more than 65,000 links");
  std::string tar = tar_file("file", "text");
  for (int i = 1; i < 65100; ++i) tar += tar_hard_link(std::to_string(i), "file");
  tar += tar_end_mark();
  StringSource unpacked(tar);
  const Error refusal = error_of([&] { apply_layer(unpacked, sys::open_dir(sys::cwd(), target.layer())); });
  CHECK(refusal.message().find("entry '65000'") != std::string::npos);
  CHECK(refusal.message().find("Too many links") != std::string::npos);
  CHECK(refusal.hint().find("xfs") != std::string::npos);
  StringSource source(tar);
  CHECK(index_layer(source).tree.inodes[1].links == 65100);
}

TEST_CASE("a symlink is at most as long as a path", "[layerstore][apply]") {
  const auto link_to = [](std::size_t size) {
    return tar_pax(pax_record("linkpath", std::string(size, 'x'))) + tar_symlink("link", "x");
  };
  CHECK_NOTHROW(Target().apply(link_to(4095)));
  CHECK(Target().refusal_of(link_to(4096)) == Errc::invalid);
}

TEST_CASE("a refusal names the entry, made printable", "[layerstore][apply]") {
  const Target target;
  const Error error = error_of([&] { target.apply(tar_file("../\x1b[2J")); });
  CHECK(error.message() == "entry '../\\x1b[2J': its name leaves the layer with '..'");
}

}  // namespace lay::layerstore
