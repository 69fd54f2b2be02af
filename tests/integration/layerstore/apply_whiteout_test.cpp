#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "erofs/tree_builder.h"
#include "error_of.h"
#include "overlay_fixture.h"
#include "tar_builder.h"

namespace lay::layerstore {

namespace {

using test::apply_to;
using test::OverlayFixture;
using test::run_in;
using test::shell;
using test::tar_end_mark;
using test::tar_file;
using test::tar_folder;

/// What a merged view shows when a layer of `members` lies on a lower with keep, d/old and d/sub/older.
std::string merged_names(const std::string& members) {
  const OverlayFixture fixture;
  run_in(fixture.path("lower"), "touch keep; mkdir -p d/sub; touch d/old d/sub/older");
  apply_to(fixture.path("layer"), members + tar_end_mark());
  const test::OverlayMount mount("lowerdir=" + fixture.path("layer") + ":" + fixture.path("lower"),
                                 fixture.path("merged"));
  return shell("cd " + fixture.path("merged") +
               " && find . -mindepth 1 -printf '%P\\n' | LC_ALL=C sort | tr '\\n' ' '")
      .output;
}

Errc refusal_of(const std::string& members) {
  const OverlayFixture fixture;
  return test::error_of([&] { apply_to(fixture.path("layer"), members + tar_end_mark()); }).code();
}

std::string removal(const std::string& name) {
  return test::tar_member({.name = name});
}

}  // namespace

TEST_CASE("a whiteout hides a file or a whole folder of the lower layers", "[layerstore][apply]") {
  CHECK(merged_names("") == "d d/old d/sub d/sub/older keep ");
  CHECK(merged_names(removal(".wh.keep")) == "d d/old d/sub d/sub/older ");
  CHECK(merged_names(removal(".wh.d")) == "keep ");
  CHECK(merged_names(removal("d/.wh.sub")) == "d d/old keep ");
  CHECK(merged_names(removal(".wh.absent")) == "d d/old d/sub d/sub/older keep ");
}

TEST_CASE("what a layer adds wins over its own whiteout, in either order", "[layerstore][apply]") {
  for (const std::string& members :
       {removal(".wh.keep") + tar_file("keep"), tar_file("keep") + removal(".wh.keep")})
    CHECK(merged_names(members) == "d d/old d/sub d/sub/older keep ");
  for (const std::string& members :
       {removal(".wh.d") + tar_folder("d/") + tar_file("d/new"),
        tar_folder("d/") + tar_file("d/new") + removal(".wh.d"), removal(".wh.d") + tar_file("d/new"),
        tar_file("d/new") + removal(".wh.d")})
    CHECK(merged_names(members) == "d d/new keep ");
}

TEST_CASE("an opaque folder hides what lies below it, wherever its mark stands", "[layerstore][apply]") {
  const std::string opaque = removal("d/.wh..wh..opq");
  for (const std::string& members :
       {opaque + tar_folder("d/") + tar_file("d/new"), tar_folder("d/") + opaque + tar_file("d/new"),
        tar_folder("d/") + tar_file("d/new") + opaque, tar_file("d/new") + opaque,
        opaque + tar_file("d/new") + removal("d/.wh.old") + tar_folder("d/")})
    CHECK(merged_names(members) == "d d/new keep ");
}

TEST_CASE("a folder that replaces a file of the same layer shows nothing of the lower folder",
          "[layerstore][apply]") {
  CHECK(merged_names(tar_file("d") + tar_folder("d/") + tar_file("d/new")) == "d d/new keep ");
}

TEST_CASE("a folder over a folder shows both", "[layerstore][apply]") {
  CHECK(merged_names(tar_folder("d/") + tar_file("d/new")) == "d d/new d/old d/sub d/sub/older keep ");
}

TEST_CASE("a removal behind a symlink stays within the layer", "[layerstore][apply]") {
  const OverlayFixture fixture;
  run_in(fixture.path("lower"), "touch victim");
  apply_to(fixture.path("layer"),
           test::tar_symlink("link", fixture.path("lower")) + removal("link/.wh.victim") + tar_end_mark());
  CHECK(shell("stat -c %F " + fixture.path("lower") + "/victim").output == "regular empty file\n");
}

TEST_CASE("what AUFS kept at a layer's root is passed over", "[layerstore][apply]") {
  const std::string metadata = removal("./.wh..wh.aufs") + tar_folder(".wh..wh.plnk/") +
                               tar_file(".wh..wh.plnk/12.34") + tar_folder(".wh..wh.orph/");
  CHECK(merged_names(metadata + tar_file("new")) == "d d/old d/sub d/sub/older keep new ");
  const std::string bytes = metadata + tar_file("new") + tar_end_mark();
  StringSource tar(bytes);
  CHECK(index_layer(tar).tree.inodes.size() == 2);  // the root and "new"
  CHECK(
      refusal_of(metadata + test::tar_member({.name = "link", .type = '1', .link = ".wh..wh.plnk/12.34"})) ==
      Errc::invalid);
}

TEST_CASE("removals that name nothing, dots or reserved names are invalid", "[layerstore][apply]") {
  for (const char* name :
       {".wh.", ".wh..", ".wh...", "d/.wh..", "d/.wh...", "d/.wh..wh.plnk", "dne/../.wh.etc"})
    CHECK(refusal_of(removal(name)) == Errc::invalid);
  CHECK(refusal_of(tar_folder(".wh.d/")) == Errc::invalid);
  CHECK(refusal_of(tar_file(".wh.d/x")) == Errc::invalid);
}

}  // namespace lay::layerstore
