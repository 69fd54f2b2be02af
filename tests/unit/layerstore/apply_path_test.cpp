#include <catch2/catch.hpp>
#include <string>

#include "base/error.h"
#include "error_of.h"
#include "tar/entry_path.h"

namespace lay::layerstore {

namespace {

Errc refusal_of(const std::string& path) {
  return test::error_of([&] { parse_entry_path(path); }).code();
}

std::string normal(const std::string& path) {
  return parse_entry_path(path).full();
}

}  // namespace

TEST_CASE("a tar's ways to write a path lead to the same place in the layer", "[layerstore][apply]") {
  for (const char* path : {"etc/x", "./etc/x", "/etc/x", ".//etc/./x", "///etc//x", "etc/x/"})
    CHECK(normal(path) == "etc/x");
  CHECK(parse_entry_path("a/b/c").parent == "a/b");
  CHECK(parse_entry_path("a/b/c").name == "c");
  for (const char* path : {".", "./", "/", "/.", "././/"}) CHECK(parse_entry_path(path).is_root());
}

TEST_CASE("bytes of a name are never changed", "[layerstore][apply]") {
  for (const char* name :
       {"new\nline", "\x1b[2J", "\xff\xfe", "back\\slash", "u\xcc\x88", "\xc3\xbc", "A", " ", "..."})
    CHECK(normal(name) == name);
}

TEST_CASE("a path that leaves the layer is invalid", "[layerstore][apply]") {
  for (const char* path : {"..", "../x", "a/../../x", "/..", "/./../x", "a/..", "dne/../.wh.etc"})
    CHECK(refusal_of(path) == Errc::invalid);
}

TEST_CASE("a name that no file system holds is invalid", "[layerstore][apply]") {
  CHECK(refusal_of("") == Errc::invalid);
  CHECK(refusal_of(std::string(256, 'a')) == Errc::invalid);
  CHECK(normal(std::string(255, 'a')).size() == 255);
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "a/";
  CHECK(refusal_of(deep) == Errc::invalid);
}

TEST_CASE("a removal that names nothing or a folder's own dots is invalid", "[layerstore][apply]") {
  for (const char* name : {".wh.", ".wh..", ".wh...", ".wh..wh.x", ".wh..wh..wh..opq", ".wh..wh.aufs"})
    CHECK(test::error_of([&] { parse_removal(name); }).code() == Errc::invalid);
  CHECK(parse_removal(".wh.x") == Removal::name);
  CHECK(parse_removal(".wh....") == Removal::name);
  CHECK(parse_removal(".wh..wh..opq") == Removal::opaque);
  CHECK(parse_removal(".whx") == Removal::none);
}

TEST_CASE("what AUFS kept at a layer's root is told from removals", "[layerstore][apply]") {
  for (const char* path :
       {".wh..wh.plnk", "./.wh..wh.aufs", "/.wh..wh.orph/", ".wh..wh.plnk/1.2", "././/.wh..wh.x"})
    CHECK(is_aufs_metadata(path));
  for (const char* path : {".wh..wh..opq", "./.wh..wh..opq", ".wh.x", "a/.wh..wh.plnk", "a", "", "/", "./"})
    CHECK_FALSE(is_aufs_metadata(path));
}

TEST_CASE("nothing can lie below a removal", "[layerstore][apply]") {
  CHECK(refusal_of(".wh.d/x") == Errc::invalid);
  CHECK(refusal_of("a/.wh..wh..opq/x") == Errc::invalid);
}

}  // namespace lay::layerstore
