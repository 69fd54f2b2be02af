#include <catch2/catch.hpp>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <future>
#include <string>
#include <vector>

#include "base/file_lock.h"
#include "base/syscalls.h"
#include "layerstore/fsck.h"
#include "layerstore/layer_mounts.h"
#include "overlay_fixture.h"
#include "poll_until.h"
#include "store_support.h"
#include "tar_builder.h"

/// Entries that go through symlinks of the layers below, as they do where layers are unpacked one after the
/// other.
namespace lay::layerstore {

namespace {

using test::shell;
using test::tar_file;
using test::tar_member;
using test::TempStore;

/// Images of one layer each, stacked.
class Stacked {
 public:
  explicit Stacked(LayerForm form) : temp{.form = form} {}

  void add(const std::string& members) {
    const Image image =
        test::import(temp.store, members + test::tar_end_mark(), fmt::format("layer:{}", blobs.size()));
    diff_ids.push_back(image.config.diff_ids.front());
    blobs.push_back(image.manifest.layers.front());
  }

  /// Names, types, targets and contents of the merged view.
  std::string seen() const {
    const std::string run = temp.folder.path() + "/run";
    const LayerMounts mounts(run);
    Lowers lowers = mounts.acquire(temp.store, diff_ids, blobs);
    std::string joined = temp.folder.path() + "/empty";
    for (auto path = lowers.paths.rbegin(); path != lowers.paths.rend(); ++path)
      joined = *path + ":" + joined;
    const std::string at = temp.folder.path() + "/merged";
    REQUIRE(shell("mkdir -p " + at + " " + temp.folder.path() + "/empty").status == 0);
    std::string output;
    {
      const test::OverlayMount mount("ro,lowerdir=" + joined, at);
      output =
          shell("cd " + at +
                " && find . -mindepth 1 -printf '%P %m %l\\n' | sort && find . -type f | sort | xargs cat")
              .output;
    }
    mounts.release(std::move(lowers));
    CHECK(test::poll_until([&] { return shell("grep -q " + run + " /proc/self/mounts").status != 0; }));
    return output;
  }

  TempStore temp;
  std::vector<Digest> diff_ids;
  std::vector<Descriptor> blobs;
};

std::string link(const std::string& name, const std::string& target) {
  return tar_member({.name = name, .type = '2', .link = target});
}

std::string folder(const std::string& name, unsigned mode = 0711) {
  return tar_member({.name = name + "/", .type = '5', .mode = mode});
}

std::string file(const std::string& name, const std::string& data) {
  return tar_member({.name = name, .data = data});
}

constexpr LayerForm kForms[] = {LayerForm::erofs, LayerForm::tree};

}  // namespace

TEST_CASE("an entry goes through a symlink of a layer below", "[layerstore][mounts]") {
  for (const LayerForm form : kForms) {
    CAPTURE(to_string(form));
    Stacked stacked(form);
    stacked.add(folder("usr") + folder("usr/lib", 0750) + file("usr/lib/old", "old\n") +
                link("lib", "usr/lib"));
    stacked.add(file("lib/new", "new\n"));
    const std::string expected =
        "lib 777 usr/lib\nusr 711 \nusr/lib 750 \nusr/lib/new 644 \nusr/lib/old 644 \nnew\nold\n";
    CHECK(stacked.seen() == expected);
    CHECK(stacked.seen() == expected);
    stacked.add(file("usr/lib/new", "newer\n"));
    CHECK(stacked.seen() ==
          "lib 777 usr/lib\nusr 711 \nusr/lib 750 \nusr/lib/new 644 \nusr/lib/old 644 \nnewer\nold\n");
    CHECK(check_store(stacked.temp.store, no_progress()).damages.empty());
  }
}

TEST_CASE("symlinks of symlinks and of later layers are followed", "[layerstore][mounts]") {
  for (const LayerForm form : kForms) {
    CAPTURE(to_string(form));
    Stacked stacked(form);
    stacked.add(folder("usr") + folder("usr/lib") + link("a", "/usr/./lib/../lib") + link("lib", "a"));
    stacked.add(file("lib/deep/one", "1\n") + link("usr/local", "lib/deep"));
    stacked.add(file("usr/local/two", "2\n"));
    CHECK(stacked.seen() ==
          "a 777 /usr/./lib/../lib\nlib 777 a\nusr 711 \nusr/lib 711 \nusr/lib/deep 755 \nusr/lib/deep/one "
          "644 \n"
          "usr/lib/deep/two 644 \nusr/local 777 lib/deep\n1\n2\n");
  }
}

TEST_CASE("a symlink to nothing leads to a new folder", "[layerstore][mounts]") {
  for (const LayerForm form : kForms) {
    CAPTURE(to_string(form));
    Stacked stacked(form);
    stacked.add(link("lib", "../../usr/lib"));
    stacked.add(file("lib/x", "x\n"));
    CHECK(stacked.seen() == "lib 777 ../../usr/lib\nusr 755 \nusr/lib 755 \nusr/lib/x 644 \nx\n");
  }
}

TEST_CASE("removals go through a symlink too, and may concern it", "[layerstore][mounts]") {
  for (const LayerForm form : kForms) {
    CAPTURE(to_string(form));
    Stacked stacked(form);
    stacked.add(folder("usr") + folder("usr/lib") + file("usr/lib/a", "a\n") + file("usr/lib/b", "b\n") +
                link("lib", "usr/lib"));
    SECTION("of what it leads to") {
      stacked.add(tar_file("lib/.wh.a"));
      CHECK(stacked.seen() == "lib 777 usr/lib\nusr 711 \nusr/lib 711 \nusr/lib/b 644 \nb\n");
    }
    SECTION("of all that is there") {
      stacked.add(tar_file("lib/.wh..wh..opq") + file("lib/c", "c\n"));
      CHECK(stacked.seen() == "lib 777 usr/lib\nusr 711 \nusr/lib 711 \nusr/lib/c 644 \nc\n");
    }
    SECTION("of the symlink itself") {
      stacked.add(tar_file(".wh.lib") + file("lib/c", "c\n"));
      CHECK(stacked.seen() ==
            "lib 755 \nlib/c 644 \nusr 711 \nusr/lib 711 \nusr/lib/a 644 \nusr/lib/b 644 \nc\na\nb\n");
    }
  }
}

TEST_CASE("an entry for the folder replaces the symlink", "[layerstore][mounts]") {
  for (const LayerForm form : kForms) {
    CAPTURE(to_string(form));
    Stacked stacked(form);
    stacked.add(folder("usr") + folder("usr/lib") + link("lib", "usr/lib"));
    stacked.add(folder("lib") + file("lib/x", "x\n"));
    CHECK(stacked.seen() == "lib 711 \nlib/x 644 \nusr 711 \nusr/lib 711 \nx\n");
  }
}

TEST_CASE("what a layer writes through a symlink stays when it names the symlink's path afterwards",
          "[layerstore][mounts]") {
  for (const LayerForm form : kForms) {
    CAPTURE(to_string(form));
    Stacked stacked(form);
    stacked.add(folder("usr") + folder("usr/lib") + folder("other") + link("lib", "usr/lib"));
    SECTION("for a folder") {
      stacked.add(file("lib/x", "x\n") + folder("lib") + file("lib/y", "y\n"));
      CHECK(stacked.seen() ==
            "lib 711 \nlib/y 644 \nother 711 \nusr 711 \nusr/lib 711 \nusr/lib/x 644 \ny\nx\n");
    }
    SECTION("for the same symlink") {
      stacked.add(file("lib/x", "x\n") + link("lib", "usr/lib"));
      CHECK(stacked.seen() == "lib 777 usr/lib\nother 711 \nusr 711 \nusr/lib 711 \nusr/lib/x 644 \nx\n");
    }
    SECTION("for another symlink, with folders beneath") {
      stacked.add(file("lib/a/b/x", "x\n") + link("lib", "other"));
      CHECK(stacked.seen() ==
            "lib 777 other\nother 711 \nusr 711 \nusr/lib 711 \nusr/lib/a 755 \nusr/lib/a/b 755 "
            "\nusr/lib/a/b/x 644 \nx\n");
    }
    CHECK(check_store(stacked.temp.store, no_progress()).damages.empty());
  }
}

TEST_CASE("a layer that is there twice goes through the symlinks below each of its places",
          "[layerstore][mounts]") {
  for (const LayerForm form : kForms) {
    CAPTURE(to_string(form));
    Stacked stacked(form);
    stacked.add(folder("e") + link("d", "e"));
    stacked.add(file("d/x", "x\n"));
    stacked.add(folder("d"));
    stacked.add(file("d/x", "x\n"));
    CHECK(stacked.seen() == "d 711 \nd/x 644 \ne 711 \ne/x 644 \nx\nx\n");
  }
}

TEST_CASE("symlinks in circles and to files are no way", "[layerstore][mounts]") {
  for (const LayerForm form : kForms) {
    CAPTURE(to_string(form));
    Stacked stacked(form);
    stacked.add(link("a", "b") + link("b", "a") + link("c", "file") + file("file", "f\n"));
    stacked.add(file("a/x", "x\n") + file("c/y", "y\n"));
    CHECK(stacked.seen() == "a 755 \na/x 644 \nb 777 a\nc 755 \nc/y 644 \nfile 644 \nx\ny\nf\n");
  }
}

TEST_CASE("a symlink that the layer itself removes or hides is no way", "[layerstore][mounts]") {
  for (const LayerForm form : kForms) {
    CAPTURE(to_string(form));
    for (const std::string& above : {folder("usr") + tar_file("usr/.wh..wh..opq") + file("usr/lib/x", "x\n"),
                                     tar_file(".wh.usr") + file("usr/lib/x", "x\n")}) {
      Stacked stacked(form);
      stacked.add(folder("usr") + folder("usr/lib64") + link("usr/lib", "lib64"));
      stacked.add(above);
      const std::string seen = stacked.seen();
      CHECK(seen.find("usr/lib/x 644") != std::string::npos);
      CHECK(seen.find("lib64") == std::string::npos);
    }
  }
}

TEST_CASE("a root that is emptied through a symlink hides all below", "[layerstore][mounts]") {
  for (const LayerForm form : kForms) {
    CAPTURE(to_string(form));
    Stacked stacked(form);
    stacked.add(link("lib", "/") + file("below", "b\n"));
    stacked.add(tar_file("lib/.wh..wh..opq") + file("lib/x", "x\n"));
    CHECK(stacked.seen() == "x 644 \nx\n");
  }
}

TEST_CASE("a symlink to a name that no folder can have is no way", "[layerstore][mounts]") {
  Stacked stacked(LayerForm::erofs);
  stacked.add(link("lib", std::string(90, 'x') + "/../" + "y"));
  stacked.add(file("lib/x", "x\n"));
  CHECK(stacked.seen().find("y/x 644") != std::string::npos);
}

TEST_CASE("machines of several kinds land one layer at once", "[layerstore][mounts]") {
  for (const LayerForm form : kForms) {
    CAPTURE(to_string(form));
    Stacked stacked(form);
    std::string files;
    for (int i = 0; i < 200; ++i) files += file("lib/" + std::to_string(i), "text\n");
    stacked.add(folder("usr") + link("lib", "usr"));
    stacked.add(files);
    for (int round = 0; round < 5; ++round) {
      REQUIRE(shell("rm -rf " + stacked.temp.path() + "/layers/*/landed.*").status == 0);
      std::vector<std::future<std::string>> counts;
      for (int i = 0; i < 4; ++i) {
        counts.push_back(std::async(std::launch::async, [&stacked, i, round] {
          const std::string run = fmt::format("{}/run-{}-{}", stacked.temp.folder.path(), round, i);
          const LayerMounts mounts(run);
          const Lowers lowers = mounts.acquire(stacked.temp.store, stacked.diff_ids, stacked.blobs);
          std::string count = shell("ls " + lowers.paths[lowers.paths.size() - 2] + "/usr | wc -l").output;
          shell("umount -l -R " + run + "/layers");  // lowers keep it busy
          return count;
        }));
      }
      for (auto& count : counts) CHECK(count.get() == "200\n");
    }
  }
}

TEST_CASE("a plan that is damaged is made again", "[layerstore][mounts]") {
  Stacked stacked(LayerForm::erofs);
  stacked.add(folder("usr") + link("lib", "usr"));
  stacked.add(file("lib/x", "x\n"));
  const std::string run = stacked.temp.folder.path() + "/run";
  const LayerMounts mounts(run);
  const Lowers first = mounts.acquire(stacked.temp.store, stacked.diff_ids, stacked.blobs);
  for (const char* damage : {"printf 'parents\\0x\\0lib\\0usr\\0'", "printf 'parents\\0x\\0'", "true"}) {
    REQUIRE(
        shell(std::string("for plan in ") + run + "/layers/*.plan; do " + damage + " > $plan; done").status ==
        0);
    CHECK(mounts.acquire(stacked.temp.store, stacked.diff_ids, stacked.blobs).paths == first.paths);
  }
  shell("umount -l -R " + run + "/layers");
}

TEST_CASE("a hard link cannot lead to a symlink of a layer below", "[layerstore][mounts]") {
  for (const LayerForm form : kForms) {
    CAPTURE(to_string(form));
    Stacked stacked(form);
    stacked.add(folder("usr") + link("lib", "usr"));
    stacked.add(file("lib/x", "x\n") + tar_member({.name = "other", .type = '1', .link = "lib/x"}));
    CHECK(stacked.seen() == "lib 777 usr\nother 644 \nusr 711 \nusr/x 644 \nx\nx\n");
  }
}

TEST_CASE("a landed layer of an earlier boot is made again, and a damaged one found",
          "[layerstore][mounts][fsck]") {
  for (const LayerForm form : kForms) {
    CAPTURE(to_string(form));
    Stacked stacked(form);
    stacked.add(folder("usr") + link("lib", "usr"));
    stacked.add(file("lib/x", "x\n"));
    const std::string expected = stacked.seen();
    const std::string landed = stacked.temp.path() + "/layers/" + stacked.diff_ids[1].hex() + "/landed.*";
    if (form == LayerForm::erofs) {
      REQUIRE(shell("cd " + landed + " && echo other >boot && : >layer.erofs").status == 0);
      CHECK(stacked.seen() == expected);
      REQUIRE(shell("cd " + landed + " && : >layer.erofs").status == 0);
      CHECK(stacked.seen() == expected);
    } else {
      REQUIRE(shell("cd " + landed + " && echo damage >tree/usr/x").status == 0);
      CHECK(!check_store(stacked.temp.store, no_progress()).damages.empty());
    }
  }
}

TEST_CASE("while a layer is made to land no other start waits for the lock of the mounts",
          "[layerstore][mounts][landed]") {
  for (const LayerForm form : kForms) {
    CAPTURE(to_string(form));
    Stacked stacked(form);
    stacked.add(folder("usr") + link("lib", "usr"));
    stacked.add(file("lib/x", "x\n"));
    const LayerMounts mounts(stacked.temp.folder.path() + "/run");
    const auto mount = [&] { return mounts.acquire(stacked.temp.store, stacked.diff_ids, stacked.blobs); };
    const std::string layer = stacked.temp.path() + "/layers/" + stacked.diff_ids[1].hex();
    std::vector<FileLock> making;
    making.push_back(FileLock::lock(sys::open_dir(sys::cwd(), layer), LockMode::exclusive));
    auto landed = std::async(std::launch::async, mount);
    // It waits for the layer's folder, whose lock somebody has who makes it
    CHECK(landed.wait_for(std::chrono::milliseconds(300)) == std::future_status::timeout);
    CHECK(shell("flock -n " + stacked.temp.folder.path() + "/run/layers/lock true").status == 0);
    making.clear();
    mounts.release(landed.get());
  }
}

TEST_CASE("a landed image is made again when the tar beneath it has another length", "[layerstore][landed]") {
  Stacked stack(LayerForm::erofs);
  stack.add(tar_file("lib/x"));
  const std::vector<LowerLink> links{{"lib", "real"}};
  const auto is_not_mounted = [](const UniqueFd&) { return false; };
  const auto inode = [&] {
    const OpenLayer landed = stack.temp.store.layers().open_landed(stack.diff_ids[0], links, stack.blobs[0],
                                                                   stack.temp.store.blobs(), is_not_mounted);
    return sys::stat_of(landed.image).st_ino;
  };
  const auto first = inode();
  CHECK(inode() == first);
  const std::string tar = stack.temp.path() + "/layers/" + stack.diff_ids[0].hex() + "/layer.tar";
  REQUIRE(shell("truncate -s -1 " + tar).status == 0);
  CHECK(inode() != first);
}

namespace {

/// By all calls of this process so far, proc(5).
std::uint64_t bytes_read() {
  std::ifstream counters("/proc/self/io");
  std::string name;
  std::uint64_t count = 0;
  counters >> name >> count;
  REQUIRE(name == "rchar:");
  return count;
}

}  // namespace

TEST_CASE("a landed image that is mounted is not read again", "[layerstore][landed]") {
  Stacked stack(LayerForm::erofs);
  stack.add(folder("usr") + folder("usr/lib") + link("lib", "usr/lib"));
  std::string many;
  for (int i = 0; i < 2000; ++i) many += tar_file(fmt::format("lib/file{}", i));
  stack.add(many);
  const LayerMounts mounts(stack.temp.folder.path() + "/run");
  Lowers first = mounts.acquire(stack.temp.store, stack.diff_ids, stack.blobs);
  const std::uint64_t before = bytes_read();
  Lowers second = mounts.acquire(stack.temp.store, stack.diff_ids, stack.blobs);
  CHECK(bytes_read() - before < 64 * 1024);
  mounts.release(std::move(second));
  mounts.release(std::move(first));
}

TEST_CASE("a plan that a killed process left half-made goes with the last layer", "[layerstore][landed]") {
  Stacked stack(LayerForm::erofs);
  stack.add(folder("usr") + link("lib", "usr"));
  stack.add(file("lib/x", "x\n"));
  const std::string run = stack.temp.folder.path() + "/run";
  const LayerMounts mounts(run);
  Lowers lowers = mounts.acquire(stack.temp.store, stack.diff_ids, stack.blobs);
  REQUIRE(shell(": > " + run + "/layers/0123.plan.new").status == 0);
  mounts.release(std::move(lowers));
  CHECK(test::poll_until([&] { return shell("ls " + run + "/layers | grep -q plan").status != 0; }));
}

}  // namespace lay::layerstore
