#include <catch2/catch.hpp>
#include <thread>

#include "error_of.h"
#include "layerstore/media_types.h"
#include "store_support.h"

using namespace lay;
using namespace lay::layerstore;
using test::error_of;
using test::shell;
using test::TempStore;

namespace {

Descriptor some_manifest(std::string_view content) {
  return {
      .media_type = std::string(media_type::kManifest), .digest = digest_of(content), .size = content.size()};
}

Json index_of(const TempStore& temp) {
  return Json::parse(shell("cat " + temp.path() + "/index.json").output);
}

void write_index_file(const TempStore& temp, const std::string& text) {
  REQUIRE(shell("cat > " + temp.path() + "/index.json <<'END'\n" + text + "\nEND").status == 0);
}

}  // namespace

TEST_CASE("a name stands for one manifest, moves, and goes", "[layerstore][image]") {
  const TempStore temp;
  const ImageStore& images = temp.store.images();
  CHECK_FALSE(images.find("app:1"));
  images.put("app:1", some_manifest("a"));
  CHECK(images.find("app:1") == some_manifest("a"));
  images.put("app:1", some_manifest("b"));
  CHECK(images.find("app:1") == some_manifest("b"));
  CHECK(images.list().size() == 1);
  CHECK(images.remove("app:1"));
  CHECK_FALSE(images.remove("app:1"));
  CHECK_FALSE(images.find("app:1"));
  CHECK(index_of(temp)["manifests"] == Json::array());
}

TEST_CASE("the same names give the same index, in whatever order they came", "[layerstore][image]") {
  const TempStore first;
  const TempStore second;
  for (const char* name : {"b:1", "a:2", "a:1"}) first.store.images().put(name, some_manifest(name));
  for (const char* name : {"a:1", "b:1", "a:2"}) second.store.images().put(name, some_manifest(name));
  CHECK(index_of(first).dump() == index_of(second).dump());
  std::vector<std::string> names;
  for (const NamedImage& image : first.store.images().list()) names.push_back(image.name);
  CHECK(names == std::vector<std::string>{"a:1", "a:2", "b:1"});
}

TEST_CASE("names are removed of the image that they are said to lead to, and of no other",
          "[layerstore][image]") {
  const TempStore temp;
  for (const char* name : {"a:1", "b:1", "c:1"}) temp.store.images().put(name, some_manifest("old"));
  std::vector<NamedImage> images = temp.store.images().list();
  images.push_back({.name = "d:1", .manifest = some_manifest("old")});
  temp.store.images().put("b:1", some_manifest("new"));
  CHECK(temp.store.images().remove_unmoved(images) == std::vector<std::string>{"a:1", "c:1"});
  CHECK(temp.store.images().find("b:1") == some_manifest("new"));
  CHECK(temp.store.images().list().size() == 1);
  CHECK(temp.store.images().remove_unmoved(images).empty());
}

TEST_CASE("what other tools put into the index stays", "[layerstore][image]") {
  const TempStore temp;
  const std::string foreign = R"({"mediaType":"application/x","digest":")" + digest_of("x").to_string() +
                              R"(","size":1,"x-own":[1],"artifactType":"y/z"})";
  write_index_file(
      temp, R"({"schemaVersion":2,"x-top":true,"annotations":{"k":"v"},"manifests":[)" + foreign + "]}");
  temp.store.images().put("app:1", some_manifest("a"));
  temp.store.images().remove("app:1");
  temp.store.images().put("app:2", some_manifest("a"));
  const Json index = index_of(temp);
  CHECK(index["x-top"] == true);
  CHECK(index["annotations"]["k"] == "v");
  REQUIRE(index["manifests"].size() == 2);
  CHECK(index["manifests"][0] == Json::parse(foreign));
  CHECK(temp.store.images().list().size() == 1);
  CHECK(temp.store.images().roots().size() == 2);
}

TEST_CASE("names that could confuse a terminal or a reader are refused", "[layerstore][image]") {
  const TempStore temp;
  for (const std::string& name :
       {std::string(), std::string("a b"), std::string("a\nb"), std::string("a\0b", 3),
        std::string("\x1b[31m"), std::string("\xff"), std::string(1025, 'a')})
    CHECK(error_of([&] { temp.store.images().put(name, some_manifest("a")); }).code() == Errc::invalid);
  CHECK(temp.store.images().list().empty());
}

TEST_CASE("a broken index is one clear failure and is not overwritten", "[layerstore][image]") {
  const TempStore temp;
  for (const std::string& text :
       {std::string("{"), std::string("[]"), std::string(R"({"schemaVersion":1})"),
        std::string(R"({"schemaVersion":2,"manifests":{}})"),
        std::string(R"({"schemaVersion":2,"manifests":[{"mediaType":"a/b","digest":"sha256:../x","size":1,)"
                    R"("annotations":{"org.opencontainers.image.ref.name":"app:1"}}]})")}) {
    write_index_file(temp, text);
    CAPTURE(text);
    const Error error = error_of([&] { temp.store.images().list(); });
    CHECK(error.code() == Errc::invalid);
    CHECK(error.message().find("index.json") != std::string::npos);
    CHECK(shell("cat " + temp.path() + "/index.json").output == text + "\n");
  }
}

TEST_CASE("an index that is a symlink is not followed", "[layerstore][image]") {
  const TempStore temp;
  REQUIRE(shell("mv " + temp.path() + "/index.json " + temp.folder.path() + "/other && ln -s ../other " +
                temp.path() + "/index.json")
              .status == 0);
  CHECK(error_of([&] { temp.store.images().list(); }).code() == Errc::corrupt);
}

TEST_CASE("names put at the same time are all there", "[layerstore][image]") {
  const TempStore temp;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 6; ++writer)
    writers.emplace_back([&temp, writer] {
      const Store own = Store::open(temp.path());
      for (int i = 0; i < 10; ++i) own.images().put(fmt::format("w{}:{}", writer, i), some_manifest("a"));
      for (int i = 0; i < 5; ++i) own.images().remove(fmt::format("w{}:{}", writer, i));
    });
  for (std::thread& writer : writers) writer.join();
  CHECK(temp.store.images().list().size() == 30);
  CHECK(test::debris(temp.path()) == 0);
}
