#include "layerstore/layer_mounts.h"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "layerstore/fsck.h"
#include "overlay_fixture.h"
#include "poll_until.h"
#include "shown_layer.h"
#include "store_support.h"
#include "tar_builder.h"

namespace lay::layerstore {

namespace {

using test::shell;
using test::TempFolder;
using test::TempStore;

/// RUN of the test's own.
struct Run {
  TempFolder folder;
  std::string path = folder.path() + "/run";
  LayerMounts mounts = LayerMounts(path);

  int mounted() const { return std::stoi(shell("grep -c ' " + path + "/layers/' /proc/self/mounts").output); }
  bool is_clean() const {
    return test::poll_until([&] { return shell("grep -q " + path + " /proc/self/mounts").status != 0; });
  }
};

std::vector<Digest> add(const TempStore& temp, std::vector<std::string> tars) {
  std::vector<Digest> diff_ids;
  for (const std::string& members : tars) {
    LayerWriter writer = temp.store.layers().begin();
    const std::string tar = members + test::tar_end_mark();
    StringSource source(tar);
    writer.apply(source);
    diff_ids.push_back(writer.commit());
  }
  return diff_ids;
}

/// The merged view of layers, lowest first, as `script` sees it.
std::string seen(const Run& run, const Store& store, const std::vector<Digest>& diff_ids,
                 const std::string& script) {
  Lowers lowers = run.mounts.acquire(store, diff_ids, {});
  std::string joined;
  for (const std::string& path : lowers.paths) joined += path + ":";
  const std::string at = run.folder.path() + "/merged";
  REQUIRE(shell("mkdir -p " + at + " " + run.folder.path() + "/empty").status == 0);
  std::string output;
  {
    const test::OverlayMount mount("ro,lowerdir=" + joined + run.folder.path() + "/empty", at);
    output = shell("cd " + at + " && " + script).output;
  }
  run.mounts.release(std::move(lowers));
  return output;
}

constexpr const char* kStat = "stat -c '%n %a %u %Y' ";

}  // namespace

TEST_CASE("a layer is mounted once, shared, and unmounted when nobody uses it", "[layerstore][mounts]") {
  const TempStore temp;
  const Run run;
  const std::vector<Digest> diff_ids = add(temp, {test::tar_file("a"), test::tar_file("b")});
  Lowers first = run.mounts.acquire(temp.store, diff_ids, {});
  Lowers second = run.mounts.acquire(temp.store, diff_ids, {});
  CHECK(first.paths == second.paths);
  CHECK(first.paths.size() == 2);
  CHECK(run.mounted() == 2);
  CHECK(shell("stat -c %a " + run.path + "/layers").output == "700\n");
  run.mounts.release(std::move(first));
  CHECK(shell("cat " + second.paths[1] + "/a").output == "x");
  run.mounts.release(std::move(second));
  CHECK(run.is_clean());
  CHECK(shell("ls " + run.path + "/layers").output == "linger\nlock\n");
}

TEST_CASE("mounts of a process that was killed go with the next release", "[layerstore][mounts]") {
  const TempStore temp;
  const Run run;
  const std::vector<Digest> killed = add(temp, {test::tar_file("a")});
  const std::vector<Digest> other = add(temp, {test::tar_file("b")});
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const Lowers lowers = run.mounts.acquire(temp.store, killed, {});
    ::raise(SIGKILL);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(run.mounted() == 1);
  run.mounts.release(run.mounts.acquire(temp.store, other, {}));
  CHECK(run.is_clean());
}

TEST_CASE("layers are mounted though the last of them is unmounted while somebody waits to",
          "[layerstore][mounts]") {
  const TempStore temp;
  const Run run;
  const std::vector<Digest> diff_ids = add(temp, {test::tar_file("a")});
  const std::string place = run.mounts.acquire(temp.store, diff_ids, {}).paths.at(0);
  const std::string layers = run.path + "/layers";
  auto removing = std::make_unique<FileLock>(
      FileLock::acquire(sys::open_dir(sys::cwd(), layers), "lock", LockMode::exclusive));
  auto waiting = std::async(std::launch::async, [&] { return run.mounts.acquire(temp.store, diff_ids, {}); });
  const std::string opened = fmt::format("ls -l /proc/{}/fd | grep -c '{}/lock'", ::getpid(), layers);
  CHECK(test::poll_until([&] { return shell(opened).output == "2\n"; }));
  CHECK(shell("umount " + place + " && rmdir " + place + " && umount -l " + layers).status == 0);
  removing.reset();
  Lowers lowers = waiting.get();
  CHECK(shell("cat " + lowers.paths.at(0) + "/a").output == "x");
  run.mounts.release(std::move(lowers));
  CHECK(run.is_clean());
}

TEST_CASE("folders that a tar only implies keep what the layers below give them", "[layerstore][mounts]") {
  for (const LayerForm form : {LayerForm::erofs, LayerForm::tree}) {
    CAPTURE(to_string(form));
    const TempStore temp{.form = form};
    const Run run;
    const std::vector<Digest> diff_ids =
        add(temp, {test::tar_member({.name = "./", .type = '5', .mode = 01700, .mtime = 111}) +
                       test::tar_member({.name = "etc/", .type = '5', .mode = 0711, .mtime = 222}) +
                       test::tar_member({.name = "etc/deep/", .type = '5', .mode = 0750, .mtime = 333}) +
                       test::tar_member({.name = "gone/", .type = '5', .mode = 0700, .mtime = 444}),
                   test::tar_file("etc/deep/file") + test::tar_file("new/file") + test::tar_file(".wh.gone"),
                   test::tar_file("etc/other") + test::tar_file("gone/again")});
    CHECK(
        seen(run, temp.store, diff_ids, std::string(kStat) + ". etc etc/deep gone new && ls etc etc/deep") ==
        ". 1700 0 111\netc 711 0 222\netc/deep 750 0 333\ngone 755 0 0\nnew 755 0 0\n"
        "etc:\ndeep\nother\n\netc/deep:\nfile\n");
    CHECK(run.is_clean());
  }
}

TEST_CASE("an implied folder that is emptied keeps its attributes, and one that is removed has new ones",
          "[layerstore][mounts]") {
  for (const LayerForm form : {LayerForm::erofs, LayerForm::tree}) {
    CAPTURE(to_string(form));
    const TempStore temp{.form = form};
    const Run run;
    const std::string base = test::tar_member({.name = "d/", .type = '5', .mode = 0711, .mtime = 22}) +
                             test::tar_member({.name = "d/in/", .type = '5', .mode = 0711, .mtime = 22});
    const std::string script = std::string(kStat) + "d d/in && ls d d/in";
    const std::string names = "d:\nin\n\nd/in:\nx\n";
    CHECK(seen(run, temp.store,
               add(temp, {base, test::tar_file("d/.wh..wh..opq") + test::tar_file("d/in/x")}),
               script) == "d 711 0 22\nd/in 755 0 0\n" + names);
    CHECK(seen(run, temp.store, add(temp, {base, test::tar_file(".wh.d") + test::tar_file("d/in/x")}),
               script) == "d 755 0 0\nd/in 755 0 0\n" + names);
    CHECK(seen(run, temp.store, add(temp, {base, test::tar_file("d/in/x") + test::tar_file(".wh.d")}),
               script) == "d 755 0 0\nd/in 755 0 0\n" + names);
  }
}

TEST_CASE("a folder's own entry further up is what it shows", "[layerstore][mounts]") {
  const TempStore temp;
  const Run run;
  const std::vector<Digest> diff_ids =
      add(temp, {test::tar_member({.name = "d/", .type = '5', .mode = 0700, .mtime = 1}),
                 test::tar_file("d/implied"),
                 test::tar_member({.name = "d/", .type = '5', .mode = 0770, .mtime = 3})});
  CHECK(seen(run, temp.store, diff_ids, std::string(kStat) + "d") == "d 770 0 3\n");
  CHECK(run.is_clean());
}

TEST_CASE("a layer whose root is opaque hides all that lies below", "[layerstore][mounts]") {
  for (const LayerForm form : {LayerForm::erofs, LayerForm::tree}) {
    CAPTURE(to_string(form));
    const TempStore temp{.form = form};
    const Run run;
    const std::vector<Digest> diff_ids =
        add(temp, {test::tar_file("below"), test::tar_file(".wh..wh..opq") + test::tar_file("above")});
    CHECK(seen(run, temp.store, diff_ids, "ls -A") == "above\n");
    CHECK(run.is_clean());
  }
}

TEST_CASE("a layer of an earlier boot is checked before it is used", "[layerstore][layer]") {
  const TempStore temp;
  test::make_tree(temp.folder, "base", "echo text > file; mkdir sub; : > sub/empty");
  const Image image = test::import(temp.store, test::tar_of(temp.folder.path() + "/base"), "base:1");
  const Digest diff_id = image.config.diff_ids.front();
  const std::string layer = temp.path() + "/layers/" + diff_id.hex();
  const auto reboot = [&] {
    REQUIRE(shell("rm -f " + layer + "/synced; echo other > " + layer + "/boot").status == 0);
  };
  const auto ensure = [&] {
    temp.store.layers().ensure(diff_id, image.manifest.layers.front(), temp.store.blobs());
  };
  const auto content = [&] {
    return shell("cat " + test::ShownLayer(temp.store, diff_id).path() + "/file").output;
  };

  SECTION("a whole one is found to be so once") {
    reboot();
    ensure();
    CHECK(shell("ls " + layer + " | grep -v from").output ==
          "boot\nlayer.erofs\nlayer.tar\nowners\nsynced\n");
    const std::string before = shell("stat -c %Y.%i " + layer + "/layer.erofs").output;
    ensure();
    CHECK(shell("stat -c %Y.%i " + layer + "/layer.erofs").output == before);
  }
  SECTION("a lost image is made again from the tar") {
    reboot();
    REQUIRE(shell(": > " + layer + "/layer.erofs").status == 0);
    ensure();
  }
  SECTION("a damaged tar is made again from the blob") {
    reboot();
    REQUIRE(shell("printf damage | dd of=" + layer + "/layer.tar bs=1 seek=1030 conv=notrunc").status == 0);
    ensure();
  }
  SECTION("a cut tar is made again from the blob") {
    reboot();
    REQUIRE(shell("truncate -s 700 " + layer + "/layer.tar").status == 0);
    ensure();
  }
  SECTION("a folder that lost its note of the boot is checked too") {
    REQUIRE(shell("rm " + layer + "/boot; printf damage | dd of=" + layer +
                  "/layer.tar bs=1 seek=1030 conv=notrunc")
                .status == 0);
    ensure();
  }
  CHECK(content() == "text\n");
}

TEST_CASE("what is mounted of a layer is checked before, and made again", "[layerstore][mounts]") {
  const TempStore temp;
  const Run run;
  const std::vector<Digest> diff_ids = add(
      temp,
      {test::tar_member({.name = "d/", .type = '5', .mode = 0700, .mtime = 1}), test::tar_file("d/file")});
  const std::string layer = temp.path() + "/layers/" + diff_ids[1].hex();
  const std::string script = std::string(kStat) + "d && cat d/file";
  const std::string expected = seen(run, temp.store, diff_ids, script);
  REQUIRE(run.is_clean());
  const auto at = [&](const std::string& file, int offset) {
    return "printf '\\125' | dd of=" + layer + "/" + file +
           " bs=1 conv=notrunc seek=" + std::to_string(offset);
  };
  for (const std::string& damage :
       {at("layer.erofs", 1024 + 8), at("layer.erofs", 4096 + 20), at("implied", 0),
        std::string("rm ") + layer + "/implied", "truncate -s -1 " + layer + "/layer.erofs",
        "truncate -s 0 " + layer + "/layer.erofs"}) {
    CAPTURE(damage);
    REQUIRE(shell(damage).status == 0);
    CHECK(seen(run, temp.store, diff_ids, script) == expected);
    CHECK(run.is_clean());
    CHECK(check_store(temp.store, no_progress()).damages.empty());
  }
  REQUIRE(shell("truncate -s -1 " + layer + "/layer.tar").status == 0);
  CHECK_FALSE(temp.store.layers().is_sound(diff_ids[1]));
  CHECK_THROWS_WITH(run.mounts.acquire(temp.store, diff_ids, {}), Catch::Contains("is damaged"));
  REQUIRE(shell("truncate -s +1 " + layer + "/layer.tar").status == 0);
  REQUIRE(shell(at("layer.erofs", 4096 + 20) + " && " + at("layer.tar", 0)).status == 0);
  CHECK_THROWS_WITH(run.mounts.acquire(temp.store, diff_ids, {}), Catch::Contains("is damaged"));
}

TEST_CASE("the list of folders that were entered before they had an entry is checked with the rest",
          "[layerstore][mounts]") {
  const TempStore temp;
  const Run run;
  const std::vector<Digest> diff_ids = add(
      temp,
      {test::tar_file("below"),
       test::tar_file("d/file") + test::tar_member({.name = "d/", .type = '5', .mode = 0700, .mtime = 1})});
  const std::string list = temp.path() + "/layers/" + diff_ids[1].hex() + "/entered";
  const std::string before = shell("od -c " + list).output;
  REQUIRE(shell("test -s " + list).status == 0);
  for (const std::string& damage : {"printf x | dd conv=notrunc of=" + list, "rm " + list}) {
    CAPTURE(damage);
    REQUIRE(shell(damage).status == 0);
    CHECK_FALSE(temp.store.layers().is_sound(diff_ids[1]));
    CHECK(seen(run, temp.store, diff_ids, "cat d/file") == "x");
    CHECK(run.is_clean());
    CHECK(shell("od -c " + list).output == before);
  }
}

TEST_CASE("the blob of an uncompressed layer and the mounted tar are one file", "[layerstore][layer]") {
  const TempStore temp;
  test::make_tree(temp.folder, "base", "head -c 100000 /dev/urandom > file");
  const Image image =
      test::import(temp.store, test::tar_of(temp.folder.path() + "/base"), "base:1", Compression::none);
  const std::string diff_id = image.config.diff_ids.front().hex();
  CHECK(image.manifest.layers.front().digest == image.config.diff_ids.front());
  CHECK(shell("stat -c %h " + temp.path() + "/blobs/sha256/" + diff_id).output == "2\n");
  CHECK(shell("sha256sum < " + temp.path() + "/layers/" + diff_id + "/layer.tar").output ==
        diff_id + "  -\n");
}

}  // namespace lay::layerstore
