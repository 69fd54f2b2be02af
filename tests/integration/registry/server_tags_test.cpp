#include <sys/inotify.h>

#include <array>
#include <fstream>

#include "registry_api.h"
#include "store_support.h"

namespace lay::registry {

namespace {

using server::Response;

/// Fills the list of names up to `count`, all of them the manifest's.
void fill_names(const layerstore::Store& store, const layerstore::Descriptor& manifest, std::size_t count) {
  Json list = Json::array();
  for (std::size_t i = 0; i < count; ++i) {
    layerstore::Descriptor named = manifest;
    named.annotations["org.opencontainers.image.ref.name"] = fmt::format("other:{:06}", i);
    list.push_back(layerstore::to_json(named));
  }
  std::ofstream(store.path() + "/index.json")
      << dump_json(Json{{"schemaVersion", 2}, {"manifests", std::move(list)}});
}

/// Counts how often blobs of a store are opened.
class OpenedBlobs {
 public:
  explicit OpenedBlobs(const layerstore::Store& store) : fd_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
    REQUIRE(::inotify_add_watch(fd_.get(), (store.path() + "/blobs/sha256").c_str(), IN_OPEN) >= 0);
  }

  /// Since the last call.
  std::size_t count() {
    alignas(inotify_event) std::array<char, 65536> buffer;
    std::size_t found = 0;
    for (;;) {
      const ssize_t got = ::read(fd_.get(), buffer.data(), buffer.size());
      if (got <= 0) return found;
      for (ssize_t at = 0; at < got;) {
        const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
        if ((event->mask & IN_ISDIR) == 0) ++found;
        at += static_cast<ssize_t>(sizeof *event + event->len);
      }
    }
  }

 private:
  UniqueFd fd_;
};

}  // namespace

TEST_CASE(
    "after a push nobody reads the manifests of a repository for what is not there, nor other repositories",
    "[registry][server]") {
  const test::TempStore temp;
  test::RegistryApi api(temp.store);
  for (int i = 0; i < 20; ++i)
    REQUIRE(api.put_manifest("many", std::to_string(i), api.push_parts("many", std::to_string(i))).status ==
            201);
  REQUIRE(api.put_manifest("other", "1", api.push_parts("other", "x")).status == 201);
  const std::string mine = api.push_blob("many", "of many alone", "text/plain").digest.to_string();
  const std::string absent = layerstore::digest_of("absent").to_string();
  CHECK(api.request("HEAD", "/v2/other/blobs/" + mine).status == 404);  // it has read what its tag leads to

  REQUIRE(api.put_manifest("many", "new", api.push_parts("many", "new")).status == 201);
  OpenedBlobs opened(temp.store);
  CHECK(api.request("HEAD", "/v2/many/blobs/" + absent).status == 404);
  CHECK(api.request("HEAD", "/v2/many/manifests/" + absent).status == 404);
  CHECK(api.request("HEAD", "/v2/other/blobs/" + mine).status == 404);
  CHECK(opened.count() == 0);

  // A local image: other has no link to its config, and reaches it by the tag alone
  const auto local = temp.store.images().find("localhost:5000/many:0");
  REQUIRE(local);
  temp.store.images().put("other:local", *local);
  const std::string config =
      "/v2/other/blobs/" +
      layerstore::parse_manifest(temp.store.blobs().read(local->digest)).config.digest.to_string();
  CHECK(api.request("HEAD", config).status == 200);
  REQUIRE(temp.store.images().remove("other:local"));
  CHECK(api.request("HEAD", config).status == 404);
}

TEST_CASE("what a tag was moved to while it was deleted stays", "[registry][server]") {
  const test::TempStore temp;
  test::RegistryApi api(temp.store);
  const std::string before = api.push_parts("team/app", "before");
  REQUIRE(api.put_manifest("team/app", "1", before).status == 201);
  const layerstore::Digest old = api.registry.names.pushed("team/app", "1").value();
  REQUIRE(api.put_manifest("team/app", "1", api.push_parts("team/app", "after")).status == 201);
  const layerstore::Digest moved = api.registry.names.pushed("team/app", "1").value();
  api.registry.names.remove("team/app", "1", old);
  CHECK(api.registry.names.pushed("team/app", "1") == moved);
  api.registry.names.remove("team/app", "1", moved);
  CHECK(!api.registry.names.pushed("team/app", "1"));
}

TEST_CASE("what an index leads to is found when it comes after the index", "[registry][server]") {
  const test::TempStore temp;
  test::RegistryApi api(temp.store);
  const std::string manifest = api.push_parts("elsewhere", "late");
  const std::string index =
      layerstore::write_index({.media_type = std::string(layerstore::media_type::kIndex),
                               .manifests = {{.media_type = std::string(layerstore::media_type::kManifest),
                                              .digest = layerstore::digest_of(manifest),
                                              .size = manifest.size()}}});
  layerstore::BlobWriter writer = temp.store.blobs().begin();
  writer.write(std::as_bytes(std::span(index)));
  temp.store.images().put("local:1", {.media_type = std::string(layerstore::media_type::kIndex),
                                      .digest = writer.commit(),
                                      .size = index.size()});
  const std::string path = "/v2/local/manifests/" + layerstore::digest_of(manifest).to_string();
  const std::string config =
      "/v2/local/blobs/" + layerstore::parse_manifest(manifest).config.digest.to_string();
  CHECK(api.request("HEAD", config).status == 404);
  REQUIRE(api.put_manifest("elsewhere", "1", manifest).status == 201);
  CHECK(api.request("HEAD", path).status == 200);
  CHECK(api.request("HEAD", config).status == 200);
}

TEST_CASE("a new name of the registry takes no other image's name", "[registry][server]") {
  const test::TempStore temp;
  test::RegistryApi api(temp.store);
  const std::string pushed = api.push_parts("a/b", "pushed");
  REQUIRE(api.put_manifest("a/b", "1", pushed).status == 201);
  REQUIRE(api.put_manifest("a/b", "2", api.push_parts("a/b", "pulled")).status == 201);
  const auto pulled = temp.store.images().find("localhost:5000/a/b:2");
  REQUIRE(pulled);
  temp.store.images().put("reg.example/a/b:1", *pulled);
  server::ImageNames names(temp.store, "reg.example", server::LocalNames::served);
  CHECK_THROWS_WITH(names.rename_from("localhost:5000"),
                    Catch::Contains("'localhost:5000/a/b:1'") && Catch::Contains("'reg.example/a/b:1'"));
  CHECK(temp.store.images().find("localhost:5000/a/b:1"));
  CHECK(temp.store.images().find("reg.example/a/b:1")->digest == pulled->digest);

  temp.store.images().put("reg.example/a/b:1", *temp.store.images().find("localhost:5000/a/b:1"));
  names.rename_from("localhost:5000");
  CHECK(!temp.store.images().find("localhost:5000/a/b:1"));
  CHECK(temp.store.images().find("reg.example/a/b:1")->digest == layerstore::digest_of(pushed));
  CHECK(temp.store.images().find("reg.example/a/b:2")->digest == pulled->digest);
}

TEST_CASE("a repository takes more tags than the store has room for names", "[registry][server]") {
  const test::SmallDisk disk("1g");  // syncing a disk 100,000 times would take an hour
  const auto store = layerstore::Store::open(disk.path() + "/root");
  test::RegistryApi api(store);
  const std::string manifest = api.push_parts("team/app");
  const layerstore::Descriptor descriptor{.media_type = std::string(layerstore::media_type::kManifest),
                                          .digest = layerstore::digest_of(manifest),
                                          .size = manifest.size()};
  fill_names(store, descriptor, server::kMaxStoreNames - 10);
  constexpr int kTags = 16'000;
  for (int i = 0; i < kTags; ++i)
    REQUIRE(api.put_manifest("team/app", fmt::format("t{:05}", i), manifest).status == 201);

  CHECK(store.images().list().size() == server::kMaxStoreNames);
  CHECK(api.registry.names.pushed("team/app", "t00009"));
  CHECK(!api.registry.names.pushed("team/app", "t00010"));
  for (const char* tag : {"t00000", "t00010", "t15999"})
    CHECK(api.request("GET", fmt::format("/v2/team/app/manifests/{}", tag)).status == 200);
  const Response page = api.request("GET", "/v2/team/app/tags/list?n=3&last=t15997");
  CHECK(page.body == R"({"name":"team/app","tags":["t15998","t15999"]})");

  // A tag moves where it is
  const std::string other = api.push_parts("team/app", "other");
  for (const char* tag : {"t00000", "t15999"}) {
    CHECK(api.put_manifest("team/app", tag, other).status == 201);
    CHECK(api.request("GET", fmt::format("/v2/team/app/manifests/{}", tag)).body == other);
    CHECK(api.request("DELETE", fmt::format("/v2/team/app/manifests/{}", tag)).status == 202);
    CHECK(api.request("GET", fmt::format("/v2/team/app/manifests/{}", tag)).status == 404);
  }
}

TEST_CASE("the names follow a registry that gets another one, in one change", "[registry][server]") {
  const test::TempStore temp;
  test::RegistryApi api(temp.store);
  const std::string manifest = api.push_parts("team/app");
  for (const char* tag : {"1", "2"}) REQUIRE(api.put_manifest("team/app", tag, manifest).status == 201);
  const auto descriptor = *temp.store.images().find("localhost:5000/team/app:1");
  for (const char* name : {"localhost:5000/team/app:1:x", "localhost:50001/team/app:1", "mine:1"})
    temp.store.images().put(name, descriptor);
  temp.store.images().put("new.example/team/app:2", descriptor);
  server::ImageNames names(temp.store, "new.example", server::LocalNames::served);
  names.rename_from("localhost:5000");
  std::vector<std::string> found;
  for (const auto& named : temp.store.images().list()) found.push_back(named.name);
  CHECK(found == std::vector<std::string>{"localhost:5000/team/app:1:x", "localhost:50001/team/app:1",
                                          "mine:1", "new.example/team/app:1", "new.example/team/app:2"});
  CHECK(names.find("team/app", "2")->digest == layerstore::digest_of(manifest));
}

namespace {

layerstore::Descriptor described(const std::string& manifest) {
  return {.media_type = std::string(layerstore::media_type::kManifest),
          .digest = layerstore::digest_of(manifest),
          .size = manifest.size()};
}

}  // namespace

TEST_CASE("a tag over a local name is deleted however long both are", "[registry][server]") {
  const test::TempStore temp;
  const auto store = layerstore::Store::open(temp.store.path());
  std::optional<test::RegistryApi> api(temp.store);
  const std::string repository = "team/" + std::string(200, 'r');
  const std::string tag(128, 't');
  const std::string local = api->push_parts("elsewhere", "local");
  api->put_manifest("elsewhere", "1", local);
  store.images().put(repository + ":" + tag, described(local));
  REQUIRE(api->put_manifest(repository, tag, api->push_parts(repository, "pushed")).status == 201);
  const std::string place = "/v2/" + repository + "/manifests/" + tag;
  CHECK(api->request("DELETE", place).status == 202);
  CHECK(api->request("GET", place).status == 404);
  api.emplace(temp.store);
  CHECK(api->request("GET", place).status == 404);
}

TEST_CASE("a deletion that was cut short hides nothing", "[registry][server]") {
  const test::TempStore temp;
  const auto store = layerstore::Store::open(temp.store.path());
  std::optional<test::RegistryApi> api(temp.store);
  const std::string local = api->push_parts("elsewhere", "local");
  api->put_manifest("elsewhere", "1", local);
  store.images().put("myapp:1", described(local));
  api->put_manifest("myapp", "1", api->push_parts("myapp", "pushed"));
  api->registry.names.hide_local("myapp", "1");
  api.emplace(temp.store);
  bool has_tag = false;
  SECTION("of a name") {}
  SECTION("of a tag that is none") {
    store.images().remove("localhost:5000/myapp:1");
    has_tag = true;
  }
  api->registry.names.show_tagged([&](const std::string&, const std::string&) { return has_tag; });
  store.images().remove("localhost:5000/myapp:1");
  CHECK(api->request("GET", "/v2/myapp/manifests/1").status == 200);
}

TEST_CASE("a tag that is deleted over a local name is gone, and the image is still here",
          "[registry][server]") {
  const test::TempStore temp;
  const auto store = layerstore::Store::open(temp.store.path());
  std::optional<test::RegistryApi> api(temp.store);
  const auto status_of = [&](const std::string& reference) {
    return api->request("GET", "/v2/myapp/manifests/" + reference).status;
  };
  const auto tags = [&] { return api->request("GET", "/v2/myapp/tags/list").body; };
  const std::string local = api->push_parts("elsewhere", "local");
  api->put_manifest("elsewhere", "1", local);
  store.images().put("myapp:1", described(local));
  CHECK(status_of("1") == 200);
  CHECK(api->request("DELETE", "/v2/myapp/manifests/1").status == 403);  // nobody pushed it

  const std::string pushed = api->push_parts("myapp", "pushed");
  CHECK(api->put_manifest("myapp", "1", pushed).status == 201);
  CHECK(api->request("DELETE", "/v2/myapp/manifests/1").status == 202);
  CHECK(status_of("1") == 404);
  CHECK(status_of(layerstore::digest_of(local).to_string()) == 404);
  CHECK(tags() == R"({"name":"myapp","tags":[]})");
  CHECK(api->request("DELETE", "/v2/myapp/manifests/1").status == 404);
  CHECK(store.images().find("myapp:1"));
  api.emplace(temp.store);  // as another server later
  CHECK(status_of("1") == 404);

  // The same by its digest, where it is that of the local image
  CHECK(api->put_manifest("myapp", "1", pushed).status == 201);
  CHECK(status_of("1") == 200);
  store.images().put("myapp:1", described(pushed));
  CHECK(api->request("DELETE", "/v2/myapp/manifests/" + layerstore::digest_of(pushed).to_string()).status ==
        202);
  CHECK(status_of("1") == 404);
  CHECK(tags().find("\"1\"") == std::string::npos);

  // Whoever names another image so publishes it
  store.images().put("myapp:1", described(local));
  CHECK(status_of("1") == 200);
  CHECK(tags() == R"({"name":"myapp","tags":["1"]})");
}

}  // namespace lay::registry
