#include "layerstore/partial.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>

#include "base/text.h"
#include "client/blob_pieces.h"
#include "fault_proxy.h"
#include "poll_until.h"
#include "shipped_image.h"

using namespace lay::registry;
using lay::Json;
using lay::layerstore::Compression;
using lay::layerstore::Image;
using lay::test::DockerRegistry;
using lay::test::FaultProxy;
using lay::test::shell;
using lay::test::TempFolder;
using lay::test::TempStore;

namespace {

/// 2000 files of 6 KB and a big one.
constexpr const char* kManyFiles =
    "mkdir -p a/b; i=0; head -c 12000000 /dev/urandom >all; split -b 6000 -a 4 -d all a/b/f; rm all\n"
    "head -c 4000000 /dev/urandom >a/big; ln -s big a/link; mkdir empty";

/// Two versions of one image in a registry: the second has a changed, a new and a removed file.
struct Versions {
  DockerRegistry registry;
  TempStore store;
  TempFolder scratch;
  Image first;
  Image second;

  explicit Versions(const std::string& change, Compression of_first = Compression::zstd)
      : first(make(kManyFiles, "1", of_first)), second(make(change, "2", Compression::zstd)) {}

  const lay::layerstore::Descriptor& layer() const { return second.manifest.layers.front(); }

 private:
  Image make(const std::string& script, const std::string& tag, Compression compression) {
    const std::string tree = scratch.path() + "/tree";
    REQUIRE(shell("mkdir -p " + tree + " && cd " + tree + " && set -e\n" + script).status == 0);
    const Image image =
        lay::layerstore::import_folder(store.store, lay::sys::open_dir(lay::sys::cwd(), tree), "app:" + tag,
                                       {.compression = {.compression = compression}}, lay::no_progress());
    push(store.store, image.descriptor, {.reference = parse_reference(registry.host() + "/team/app:" + tag)},
         lay::no_progress());
    return image;
  }
};

Image pull_through(const FaultProxy& proxy, const TempStore& store, const std::string& tag) {
  const std::string name = proxy.host() + "/team/app:" + tag;
  const Patience quick{.retries = 1, .first_delay = std::chrono::milliseconds{10}};
  return pull(store.store, {.reference = parse_reference(name), .connection = {.patience = quick}}, name,
              lay::no_progress());
}

/// Bytes that the requests for one blob have asked for.
std::uint64_t asked_for(const FaultProxy& proxy, const lay::layerstore::Descriptor& blob) {
  std::uint64_t sum = 0;
  for (const Json& request : proxy.requests("GET", blob.digest.hex())) {
    const std::string range = request["range"];
    if (range.empty()) {
      sum += blob.size;
      continue;
    }
    for (const std::string& part : lay::split(range.substr(range.find('=') + 1), ',')) {
      const std::size_t dash = part.find('-');
      sum += std::stoull(part.substr(dash + 1)) - std::stoull(part.substr(0, dash)) + 1;
    }
  }
  return sum;
}

constexpr const char* kSmallChange =
    "for i in 3 500 999 1500; do head -c 6000 /dev/urandom >a/b/f000$i 2>/dev/null || true; done\n"
    "head -c 6000 /dev/urandom >a/b/f0010; head -c 6000 /dev/urandom >a/b/f0700; echo new >a/new; rm "
    "a/b/f0003";

}  // namespace

TEST_CASE("after a small change only what changed crosses the wire, and the blob is the same",
          "[registry][partial]") {
  const Versions versions(kSmallChange);
  const FaultProxy proxy(versions.registry.port(), "[]");
  const TempStore store;
  pull_through(proxy, store, "1");
  const Image image = pull_through(proxy, store, "2");
  CHECK(image.descriptor == versions.second.descriptor);
  CHECK(store.store.blobs().is_whole(versions.layer()));
  const std::uint64_t asked = asked_for(proxy, versions.layer());
  INFO(asked << " of " << versions.layer().size);
  CHECK(asked < versions.layer().size * 4 / 100);                           // 1 % of table for so small files
  CHECK(proxy.requests("GET", versions.layer().digest.hex()).size() == 2);  // the table, and all the parts
  CHECK(lay::test::debris(store.path()) == 0);
}

TEST_CASE("a registry that serves one range at a time is asked for each part", "[registry][partial]") {
  const Versions versions(kSmallChange);
  const std::string hex = versions.layer().digest.hex();
  for (const char* fault : {R"("do": "one-range")", R"("do": "status", "status": 416)",
                            R"("do": "status", "status": 501)", R"("do": "ignore-range")"}) {
    CAPTURE(fault);
    const FaultProxy proxy(versions.registry.port(),
                           R"([{"method": "GET", "path": ")" + hex + R"(", "after": 1, )" + fault + "}]");
    const TempStore store;
    pull_through(proxy, store, "1");
    pull_through(proxy, store, "2");
    CHECK(store.store.blobs().is_whole(versions.layer()));
    CHECK(asked_for(proxy, versions.layer()) < versions.layer().size * 6 / 100);  // the parts twice
    const std::size_t requests = proxy.requests("GET", hex).size();
    CHECK(requests > 4);
    CHECK(requests < 12);
  }
}

TEST_CASE("without anything alike in the store the whole is fetched at once", "[registry][partial]") {
  const Versions versions(kSmallChange);
  const FaultProxy proxy(versions.registry.port(), "[]");
  const TempStore store;
  pull_through(proxy, store, "2");
  CHECK(proxy.requests("GET", versions.layer().digest.hex()).size() == 1);
}

TEST_CASE("whatever goes wrong with the parts, the whole is fetched and right", "[registry][partial]") {
  const Versions versions(kSmallChange);
  const std::string hex = versions.layer().digest.hex();
  for (const char* fault :
       {R"("do": "ignore-range", "times": 99)", R"("do": "flip")", R"("do": "flip", "after": 1)",
        R"("do": "wrong-range")", R"("do": "status", "status": 416)",
        R"("do": "cut", "bytes": 10, "times": 1)", R"("do": "close", "times": 4)"}) {
    CAPTURE(fault);
    const FaultProxy proxy(versions.registry.port(),
                           R"([{"method": "GET", "path": ")" + hex + "\", " + fault + "}]");
    const TempStore store;
    pull_through(proxy, store, "1");
    CHECK_NOTHROW(pull_through(proxy, store, "2"));
    CHECK(store.store.blobs().is_whole(versions.layer()));
    CHECK(proxy.faults() > 0);
  }
}

namespace {

/// Whether the store has the layer whole, but not its blob, and nothing half-made.
void check_is_left(const TempStore& store, const Versions& versions) {
  CHECK_FALSE(store.store.blobs().has(versions.layer().digest));
  CHECK(store.store.absent().has(versions.layer(), versions.second.config.diff_ids.front()));
  CHECK(store.store.layers().secure(versions.second.config.diff_ids.front()));
  CHECK(lay::test::debris(store.path()) == 0);
}

}  // namespace

TEST_CASE("of a layer whose files came as gzip only what changed crosses the wire, and its blob stays",
          "[registry][partial]") {
  const Versions versions(kSmallChange, Compression::gzip);
  const std::string hex = versions.layer().digest.hex();
  for (const std::string& rule : {std::string("[]"), R"([{"method": "GET", "path": ")" + hex +
                                                         R"(", "after": 1, "do": "one-range"}])"}) {
    CAPTURE(rule);
    const FaultProxy proxy(versions.registry.port(), rule);
    const TempStore store;
    pull_through(proxy, store, "1");
    pull_through(proxy, store, "2");
    check_is_left(store, versions);
    CHECK(asked_for(proxy, versions.layer()) < versions.layer().size * 4 / 100);
    CHECK(proxy.requests("GET", hex).size() < 12);
  }
}

TEST_CASE("whatever goes wrong with the parts of a tar, the layer is right, and nothing else is left",
          "[registry][partial]") {
  const Versions versions(kSmallChange, Compression::gzip);
  const std::string hex = versions.layer().digest.hex();
  for (const char* fault :
       {R"("do": "ignore-range", "times": 99)", R"("do": "flip")", R"("do": "flip", "after": 1)",
        R"("do": "wrong-range")", R"("do": "status", "status": 416)",
        R"("do": "cut", "bytes": 10, "times": 1)", R"("do": "cut", "bytes": 10, "after": 1, "times": 1)",
        R"("do": "close", "times": 4)"}) {
    CAPTURE(fault);
    const FaultProxy proxy(versions.registry.port(),
                           R"([{"method": "GET", "path": ")" + hex + "\", " + fault + "}]");
    const TempStore store;
    pull_through(proxy, store, "1");
    CHECK_NOTHROW(pull_through(proxy, store, "2"));
    CHECK(store.store.layers().secure(versions.second.config.diff_ids.front()));
    CHECK((store.store.blobs().is_whole(versions.layer()) ||
           store.store.absent().has(versions.layer(), versions.second.config.diff_ids.front())));
    CHECK(lay::test::debris(store.path()) == 0);
    CHECK(proxy.faults() > 0);
  }
}

namespace {

/// A change of which 8 MB in one file, that is 8 frames, and some small ones are fetched: the table, by one
/// request the small ones and the last frame, and then the others one by one.
constexpr const char* kLargeChange =
    "head -c 8000000 /dev/urandom >a/large; for i in 0010 0700 1200; do head -c 6000 /dev/urandom >a/b/f$i; "
    "done";

/// Rules for the requests for one blob; the first one, for its table, passes.
std::string rules_for(const std::string& hex, const std::vector<std::string>& faults) {
  std::vector<std::string> rules;
  for (const std::string& fault : faults)
    rules.push_back(R"({"method": "GET", "path": ")" + hex + R"(", )" + fault + "}");
  return "[" + lay::join(rules, ", ") + "]";
}

bool asked_for_whole(const FaultProxy& proxy, const std::string& hex) {
  const auto requests = proxy.requests("GET", hex);
  return std::any_of(requests.begin(), requests.end(),
                     [](const Json& request) { return request["range"].get<std::string>().empty(); });
}

}  // namespace

TEST_CASE("a tar whose registry goes away for longer than the patience lasts goes on with the parts it has",
          "[registry][partial]") {
  const Versions versions(kLargeChange, Compression::gzip);
  const std::string hex = versions.layer().digest.hex();
  // Of the fifth frame something comes, then nobody answers for all the tries of one request
  const FaultProxy proxy(versions.registry.port(),
                         rules_for(hex, {R"("after": 6, "do": "cut", "bytes": 500000)",
                                         R"("after": 6, "do": "close", "times": 2)"}));
  const TempStore store;
  pull_through(proxy, store, "1");
  pull_through(proxy, store, "2");
  check_is_left(store, versions);
  CHECK(proxy.faults() == 3);
  CHECK_FALSE(asked_for_whole(proxy, hex));
  CHECK(asked_for(proxy, versions.layer()) < 14'000'000);  // the fifth and the last one more than once
}

TEST_CASE("parts of a tar whose registry stays away are kept, and the next pull fetches the rest",
          "[registry][partial]") {
  const Versions versions(kLargeChange, Compression::gzip);
  const std::string hex = versions.layer().digest.hex();
  const FaultProxy away(versions.registry.port(),
                        rules_for(hex, {R"("after": 6, "do": "cut", "bytes": 500000)",
                                        R"("after": 6, "do": "close", "times": 99)"}));
  const TempStore store;
  pull_through(away, store, "1");
  CHECK_THROWS_WITH(pull_through(away, store, "2"), Catch::Contains("registry"));
  CHECK(away.faults() > 3);  // it was asked again
  CHECK_FALSE(asked_for_whole(away, hex));
  CHECK(lay::test::debris(store.path()) == 1);

  const FaultProxy back(versions.registry.port(), "[]");
  pull_through(back, store, "2");
  check_is_left(store, versions);
  CHECK(asked_for(back, versions.layer()) < 4'000'000);
}

TEST_CASE("many parts whose answer breaks off each time are fetched one by one", "[registry][partial]") {
  const Versions versions(kSmallChange, Compression::gzip);
  const std::string hex = versions.layer().digest.hex();
  const FaultProxy proxy(versions.registry.port(),
                         rules_for(hex, {R"("after": 1, "do": "cut", "bytes": 7000, "times": 2)"}));
  const TempStore store;
  pull_through(proxy, store, "1");
  pull_through(proxy, store, "2");
  check_is_left(store, versions);
  CHECK(proxy.faults() == 2);
  CHECK_FALSE(asked_for_whole(proxy, hex));
}

TEST_CASE("who is told to come later with several ranges waits, and asks for the same again",
          "[registry][partial]") {
  const Versions versions(kSmallChange, Compression::gzip);
  const std::string hex = versions.layer().digest.hex();
  for (const char* status : {"429", "503"}) {
    CAPTURE(status);
    const FaultProxy proxy(versions.registry.port(),
                           rules_for(hex, {std::string(R"("after": 1, "do": "status", "status": )") + status +
                                           R"(, "headers": {"Retry-After": "1"})"}));
    const TempStore store;
    pull_through(proxy, store, "1");
    const auto before = std::chrono::steady_clock::now();
    pull_through(proxy, store, "2");
    CHECK(std::chrono::steady_clock::now() - before > std::chrono::milliseconds{990});
    check_is_left(store, versions);
    const auto requests = proxy.requests("GET", hex);
    REQUIRE(requests.size() == 3);  // the table, and the parts twice
    CHECK(requests[1]["range"] == requests[2]["range"]);
  }
}

TEST_CASE("a registry that limits requests for longer than the patience lasts is not asked for each part",
          "[registry][partial]") {
  for (const Compression of_first : {Compression::gzip, Compression::zstd}) {
    const Versions versions(kSmallChange, of_first);
    const std::string hex = versions.layer().digest.hex();
    for (const char* headers : {"{}", R"({"Retry-After": "600"})"}) {
      CAPTURE(headers);
      const FaultProxy proxy(
          versions.registry.port(),
          rules_for(hex,
                    {std::string(R"("after": 1, "do": "status", "status": 429, "times": 99, "headers": )") +
                     headers}));
      const TempStore store;
      pull_through(proxy, store, "1");
      CHECK_THROWS_WITH(pull_through(proxy, store, "2"), Catch::Contains("429"));
      CHECK(proxy.requests("GET", hex).size() <= 3);
      CHECK_FALSE(asked_for_whole(proxy, hex));
    }
  }
}

TEST_CASE("a damaged layer in the store does not get into a new one", "[registry][partial]") {
  const Versions versions(kSmallChange, Compression::gzip);
  const FaultProxy proxy(versions.registry.port(), "[]");
  const TempStore store;
  pull_through(proxy, store, "1");
  const std::string tar =
      store.path() + "/layers/" + versions.first.config.diff_ids.front().hex() + "/layer.tar";
  REQUIRE(shell("chmod u+w " + tar + " && printf XXXX | dd of=" + tar +
                " bs=1 seek=1000000 conv=notrunc status=none")
              .status == 0);
  pull_through(proxy, store, "2");
  check_is_left(store, versions);
}

TEST_CASE("a damaged blob in the store does not get into a new one", "[registry][partial]") {
  const Versions versions(kSmallChange);
  const FaultProxy proxy(versions.registry.port(), "[]");
  const TempStore store;
  pull_through(proxy, store, "1");
  const std::string blob =
      store.path() + "/blobs/sha256/" + versions.first.manifest.layers.front().digest.hex();
  REQUIRE(shell("chmod u+w " + blob + " && printf XXXX | dd of=" + blob +
                " bs=1 seek=1000000 conv=notrunc status=none")
              .status == 0);
  CHECK_NOTHROW(pull_through(proxy, store, "2"));
  CHECK(store.store.blobs().is_whole(versions.layer()));
}

namespace {

/// 300 files of 20 KB; made by others, all that is between two files has to be fetched.
constexpr const char* kLargerFiles =
    "mkdir -p a/b; head -c 6000000 /dev/urandom >all; split -b 20000 -a 3 -d all a/b/f; rm all\n"
    "head -c 3000000 /dev/urandom >a/big; head -c 3000000 /dev/zero >a/zeros; ln -s big a/link; mkdir empty";
constexpr const char* kLargerChange =
    "head -c 20000 /dev/urandom >a/b/f007; head -c 20000 /dev/urandom >a/b/f200; echo new >a/new; rm "
    "a/b/f100";

/// podman leaves its storage mounted on itself.
struct PodmanRoot {
  std::string path;
  ~PodmanRoot() { shell("while umount " + path + "/overlay 2>/dev/null; do :; done"); }
};

/// A folder whose states are shipped by other tools, as zstd:chunked. Its tar has no blocks behind its end
/// mark
/// (-b 1): podman 4.3 leaves them out of the blob, which then is not what its diff_id says.
struct ForeignVersions {
  DockerRegistry registry;
  TempFolder scratch;
  PodmanRoot root{scratch.path() + "/root"};

  /// `pack` makes the OCI layout "oci" of "tree.tar"; both lie in its working folder.
  void ship(const std::string& change, const std::string& pack, const std::string& tag) const {
    const std::string at = scratch.path();
    const auto result = shell("set -e; mkdir -p " + at + "/tree && cd " + at + "/tree\n" + change +
                              "\ntar -b 1 -C " + at + "/tree -cf ../tree.tar . && cd .. && rm -rf oci\n" +
                              pack + "\nskopeo copy -q --dest-tls-verify=false oci:oci:x docker://" +
                              registry.host() + "/team/app:" + tag + " 2>&1");
    INFO(result.output);
    REQUIRE(result.status == 0);
  }
};

void check_parts_are_pulled(const std::string& pack, const std::string& annotation) {
  const ForeignVersions versions;
  const std::string filled = "root=" + versions.scratch.path() + "/root\n" + pack;
  versions.ship(kLargerFiles, filled, "1");
  versions.ship(kLargerChange, filled, "2");
  const FaultProxy proxy(versions.registry.port(), "[]");
  const TempStore store;
  pull_through(proxy, store, "1");
  const Image image = pull_through(proxy, store, "2");
  const auto& layer = image.manifest.layers.front();
  REQUIRE(layer.annotations.contains(annotation));
  CHECK(store.store.blobs().is_whole(layer));
  INFO(asked_for(proxy, layer) << " of " << layer.size);
  CHECK(asked_for(proxy, layer) < layer.size * 3 / 100);
}

}  // namespace

TEST_CASE("what podman made as zstd:chunked is pulled in parts too", "[registry][partial]") {
  check_parts_are_pulled(
      "podman='podman --root '$root' --runroot '$root.run\n"
      "id=$($podman import -q tree.tar)\n"
      "$podman push -q --compression-format zstd:chunked $id oci:oci:x",
      "io.containers.zstd-chunked.manifest-position");
}

TEST_CASE("zstd:chunked with a tar-split, as newer podmans write it, is pulled in parts too",
          "[registry][partial]") {
  const std::string script = std::filesystem::absolute(std::filesystem::path(__FILE__).parent_path() /
                                                       "../../support/chunked_image.py");
  check_parts_are_pulled("python3 " + script + " tree.tar oci x",
                         "io.github.containers.zstd-chunked.tarsplit-position");
}

TEST_CASE("what is fetched ahead of who takes it is bounded", "[registry][partial]") {
  constexpr std::uint64_t kPart = 512 * 1024;
  constexpr std::uint64_t kHeld = 8 << 20;
  const Versions versions("head -c 30000000 /dev/urandom >a/huge");
  const FaultProxy proxy(versions.registry.port(), "[]");
  const RegistryClient client(parse_reference(proxy.host() + "/team/app:2"), Access::pull, {});
  const std::stop_source stop;
  BlobPieces pieces(client, versions.layer(), stop.get_token());
  std::vector<lay::layerstore::BlobPart> parts;
  for (std::uint64_t i = 0; i < 80; ++i) parts.push_back({.offset = i * kPart, .size = kPart});
  pieces.expect(parts);
  const auto asked = [&] { return asked_for(proxy, versions.layer()); };
  CHECK(lay::test::poll_until([&] { return asked() >= kHeld; }));
  lay::StringSink out;
  for (int i = 0; i < 50; ++i) pieces.fetch({.offset = 80 * kPart, .size = 1}, out);  // time for more
  CHECK(asked() <= kHeld + 2 * kPart + 50);
  for (const auto& part : parts) pieces.fetch(part, out);
  CHECK(asked() == 80 * kPart + 50);
}

TEST_CASE("who begins again while the first parts are still asked for asks anew", "[registry][partial]") {
  const Versions versions("head -c 1000000 /dev/urandom >a/huge");
  const FaultProxy proxy(versions.registry.port(),
                         rules_for(versions.layer().digest.hex(), {R"("do": "stall", "bytes": 0)"}));
  const RegistryClient client(parse_reference(proxy.host() + "/team/app:2"), Access::pull, {});
  const std::stop_source stop;
  BlobPieces pieces(client, versions.layer(), stop.get_token());
  const std::vector<lay::layerstore::BlobPart> parts{{.offset = 0, .size = 1000},
                                                     {.offset = 9000, .size = 1000}};
  pieces.expect(parts);
  REQUIRE(lay::test::poll_until([&] { return proxy.faults() == 1; }));
  pieces.expect(parts);
  lay::StringSink out;
  for (const auto& part : parts) pieces.fetch(part, out);
  CHECK(out.text().size() == 2000);
}

TEST_CASE("where nothing but the table is served in parts the whole is fetched", "[registry][partial]") {
  const Versions versions(kLargeChange, Compression::gzip);
  const std::string hex = versions.layer().digest.hex();
  // Whoever asks for a range is told to come later, for ever
  const FaultProxy proxy(
      versions.registry.port(),
      rules_for(hex, {R"("after": 1, "range": true, "do": "status", "status": 503, "times": 99)"}));
  const TempStore store;
  pull_through(proxy, store, "1");
  pull_through(proxy, store, "2");
  CHECK(asked_for_whole(proxy, hex));
  CHECK(store.store.blobs().is_whole(versions.layer()));
}
