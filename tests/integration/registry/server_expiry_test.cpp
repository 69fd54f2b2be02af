#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <thread>

#include "poll_until.h"
#include "registry_api.h"
#include "server/content/expiry.h"
#include "server/content/janitor.h"
#include "store_support.h"

namespace lay::registry {

namespace {

using namespace std::chrono_literals;
using server::Expiry;
using server::Retention;
using std::chrono::system_clock;

constexpr system_clock::time_point kNever = system_clock::time_point::max();

bool has_folder(const layerstore::Store& store, const std::string& repository) {
  return sys::try_stat_at(sys::cwd(), store.path() + "/registry/repositories/" + repository).has_value();
}

std::string with_subject(const std::string& manifest, const std::string& subject, int number) {
  Json json = parse_json(manifest, "manifest");
  json["annotations"] = Json{{"number", std::to_string(number)}};
  if (!subject.empty())
    json["subject"] = layerstore::to_json({.media_type = std::string(layerstore::media_type::kManifest),
                                           .digest = layerstore::digest_of(subject),
                                           .size = subject.size()});
  return dump_json(json);
}

/// Makes the record of a manifest in repository "a" as old as one that was pushed then.
void age_record(const layerstore::Store& store, const std::string& manifest, std::chrono::seconds age) {
  const std::string path =
      store.path() + "/registry/repositories/a/manifests/" + layerstore::digest_of(manifest).to_string();
  const timespec time{.tv_sec = system_clock::to_time_t(system_clock::now() - age), .tv_nsec = 0};
  const std::array<timespec, 2> times{time, time};
  REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times.data(), 0) == 0);
}

/// A blob that nobody needs.
layerstore::Digest add_garbage(const layerstore::Store& store) {
  const std::string text = "garbage";
  layerstore::BlobWriter writer = store.blobs().begin();
  writer.write(std::as_bytes(std::span(text)));
  return writer.commit();
}

}  // namespace

TEST_CASE("what loses its last name to another command stays for the days of those that lose it to a push",
          "[registry][server]") {
  const test::TempStore temp;
  test::RegistryApi api(temp.store);
  const std::string old = api.push_parts("a", "old");
  const std::string other = api.push_parts("a", "other");
  REQUIRE(api.put_manifest("a", "1", old).status == 201);
  REQUIRE(api.put_manifest("a", "2", other).status == 201);
  const std::string signature = with_subject(old, old, 1);
  const std::string by_digest = layerstore::digest_of(signature).to_string();
  REQUIRE(api.put_manifest("a", by_digest, signature).status == 201);
  const std::chrono::seconds week{7 * 24 * 3600};
  for (const std::string& manifest : {old, other, signature}) age_record(temp.store, manifest, week + 24h);

  Expiry expiry(api.registry, {.untagged = week});
  expiry.look_at("a", system_clock::now());
  const auto images = temp.store.images().find("localhost:5000/a:2");
  REQUIRE(images);
  temp.store.images().put("localhost:5000/a:1", *images);  // as `lay tag` does
  expiry.look_at("a", system_clock::now());
  CHECK(api.request("GET", "/v2/a/manifests/" + layerstore::digest_of(old).to_string()).status == 200);
  CHECK(api.request("GET", "/v2/a/manifests/" + by_digest).status == 200);
  expiry.look_at("a", system_clock::now() + week + 1h);
  CHECK(api.request("GET", "/v2/a/manifests/" + layerstore::digest_of(old).to_string()).status == 404);
  CHECK(api.request("GET", "/v2/a/manifests/" + by_digest).status == 404);
  CHECK(api.request("GET", "/v2/a/manifests/1").body == other);
}

TEST_CASE("a collection that gave way is tried again soon, and counts only when it took place",
          "[registry][server]") {
  const test::TempStore temp;
  test::RegistryApi api(temp.store);
  const layerstore::Digest garbage = add_garbage(temp.store);
  server::Metrics metrics;
  std::atomic<int> reports = 0;
  auto adding = std::make_optional(temp.store.share());
  server::Janitor janitor(
      api.registry, metrics, {.interval = 3s, .retry = 20ms}, [] { return layerstore::InUse{}; },
      [&](const Error&) { ++reports; });
  const auto counted = [&](const std::string& line) {
    return metrics.text(0).find("\n" + line) != std::string::npos;
  };
  REQUIRE(test::poll_until([&] { return !counted("lay_collections_missed_total 0\n"); }));
  CHECK(counted("lay_collections_total 0\n"));
  CHECK(temp.store.blobs().has(garbage));
  const auto released = std::chrono::steady_clock::now();
  adding.reset();
  REQUIRE(test::poll_until([&] { return !temp.store.blobs().has(garbage); }));
  CHECK(std::chrono::steady_clock::now() - released < 2s);  // not at the next round
  CHECK(test::poll_until([&] { return counted("lay_collections_total 1\n"); }));
  CHECK(reports == 0);
}

TEST_CASE("a container that may need anything is told once while nothing is collected",
          "[registry][server]") {
  const test::TempStore temp;
  test::RegistryApi api(temp.store);
  const layerstore::Digest garbage = add_garbage(temp.store);
  server::Metrics metrics;
  std::atomic<bool> is_damaged = true;
  std::atomic<int> reports = 0;
  server::Janitor janitor(
      api.registry, metrics, {.interval = 1s},
      [&] {
        layerstore::InUse in_use;
        in_use.everything = is_damaged;
        return in_use;
      },
      [&](const Error&) { ++reports; });
  REQUIRE(test::poll_until(
      [&] { return metrics.text(0).find("\nlay_collections_missed_total 2\n") != std::string::npos; }));
  CHECK(reports == 1);
  CHECK(temp.store.blobs().has(garbage));
  is_damaged = false;
  CHECK(test::poll_until([&] { return !temp.store.blobs().has(garbage); }));
  CHECK(reports == 1);
}

TEST_CASE("a repository whose last record goes is gone, and comes back with the next push",
          "[registry][server]") {
  const test::TempStore temp;
  test::RegistryApi api(temp.store);
  const std::string manifest = api.push_parts("a");
  const std::string config = layerstore::parse_manifest(manifest).config.digest.to_string();
  REQUIRE(api.put_manifest("a", "1", manifest).status == 201);
  CHECK(api.request("DELETE", "/v2/a/manifests/" + layerstore::digest_of(manifest).to_string()).status ==
        202);
  CHECK(has_folder(temp.store, "a"));
  CHECK(api.request("GET", "/v2/a/tags/list").status == 200);
  CHECK(api.request("DELETE", "/v2/a/blobs/" + config).status == 202);
  CHECK(!has_folder(temp.store, "a"));
  CHECK(api.request("GET", "/v2/a/tags/list").status == 404);
  CHECK(api.request("GET", "/v2/_catalog").body == R"({"repositories":[]})");

  api.push_parts("a");
  REQUIRE(api.put_manifest("a", "1", manifest).status == 201);
  CHECK(api.request("GET", "/v2/a/manifests/1").body == manifest);
  CHECK(api.request("DELETE", "/v2/a/manifests/1").status == 202);
  CHECK(server::expire_links(api.registry, "a", {.unused_blobs = 0s, .untagged = 0s}, system_clock::now()) ==
        kNever);
  CHECK(!has_folder(temp.store, "a"));
}

TEST_CASE("what is pushed while its repository is emptied again and again is there", "[registry][server]") {
  const test::SmallDisk disk("64m");
  const auto store = layerstore::Store::open(disk.path() + "/root");
  test::RegistryApi api(store);
  std::atomic<bool> is_over = false;
  std::thread janitor([&] {
    while (!is_over) {
      server::expire_links(api.registry, "a", {.unused_blobs = 0s, .untagged = 0s}, system_clock::now());
      std::this_thread::yield();
    }
  });
  int kept = 0;
  for (int i = 0; i < 300; ++i) {
    const std::string manifest = api.push_parts("a", std::to_string(i));
    // 404: the config was not needed yet, and was taken back before the manifest came
    if (api.put_manifest("a", "1", manifest).status != 201) continue;
    ++kept;
    CHECK(api.request("GET", "/v2/a/manifests/1").body == manifest);
    CHECK(api.request("DELETE", "/v2/a/manifests/1").status == 202);
  }
  is_over = true;
  janitor.join();
  CHECK(kept > 0);
}

TEST_CASE("a repository in which nothing has changed and nothing is due is not read again",
          "[registry][server]") {
  const test::TempStore temp;
  test::RegistryApi api(temp.store);
  const std::string first = api.push_parts("a", "first");
  const std::string second = api.push_parts("a", "second");
  REQUIRE(api.put_manifest("a", "1", first).status == 201);
  Expiry expiry(api.registry, {.unused_blobs = 60s, .untagged = 60s});
  const auto now = system_clock::now();
  CHECK(expiry.look_at("a", now));
  CHECK(expiry.look_at("a", now));  // it may have changed in the tick of that look
  CHECK(expiry.look_at("a", now + 10s));
  CHECK(!expiry.look_at("a", now + 20s));
  CHECK(expiry.look_at("a", now + 100s));  // the config of the second image is due
  CHECK(expiry.look_at("a", now + 101s));
  CHECK(!expiry.look_at("a", now + 1000h));
  CHECK(api.registry.repositories.blobs("a").size() == 1);

  api.push_parts("a", "second");
  REQUIRE(api.put_manifest("a", "1", second).status == 201);
  CHECK(expiry.look_at("a", now + 1001h));
  CHECK(api.registry.repositories.manifests("a").size() == 1);
  REQUIRE(temp.store.images().remove("localhost:5000/a:1"));
  CHECK(expiry.look_at("a", now + 1002h));
  CHECK(!has_folder(temp.store, "a"));
}

TEST_CASE("a long chain of subjects keeps nobody waiting", "[registry][server]") {
  const test::SmallDisk disk("256m");
  const auto store = layerstore::Store::open(disk.path() + "/root");
  test::RegistryApi api(store);
  const std::string plain = api.push_parts("a");
  std::vector<std::string> chain{plain};
  for (int i = 1; i < 3000; ++i) chain.push_back(with_subject(plain, chain.back(), i));
  for (const std::string& manifest : chain)
    REQUIRE(api.put_manifest("a", layerstore::digest_of(manifest).to_string(), manifest).status == 201);
  REQUIRE(api.put_manifest("a", "1", plain).status == 201);
  const auto begun = std::chrono::steady_clock::now();
  server::expire_links(api.registry, "a", {.unused_blobs = 0s, .untagged = 0s}, system_clock::now());
  CHECK(std::chrono::steady_clock::now() - begun < 2s);
  CHECK(api.registry.repositories.manifests("a").size() == 3000);
}

TEST_CASE("a mount without from finds a blob by the links of repositories that the user may read",
          "[registry][server]") {
  const test::TempStore temp;
  test::RegistryApi api(temp.store);
  const std::string digest = api.push_blob("b", "bytes", "text/plain").digest.to_string();
  CHECK(api.request("POST", "/v2/a/blobs/uploads/?mount=" + digest).status == 201);
  CHECK(api.request("HEAD", "/v2/a/blobs/" + digest).status == 200);
  REQUIRE(api.request("DELETE", "/v2/a/blobs/" + digest).status == 202);
  REQUIRE(api.request("DELETE", "/v2/b/blobs/" + digest).status == 202);
  CHECK(api.request("POST", "/v2/a/blobs/uploads/?mount=" + digest).status == 202);  // the store has it
  CHECK(api.registry.repositories.list_some(10).empty());
  for (const char* name : {"one", "two", "three"}) api.push_blob(name, "bytes", "text/plain");
  CHECK(api.registry.repositories.list_some(2).size() == 2);
}

}  // namespace lay::registry
