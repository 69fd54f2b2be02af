#include <sys/stat.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>

#include "error_of.h"
#include "layerstore/media_types.h"
#include "shown_layer.h"
#include "store_support.h"

using namespace lay;
using namespace lay::layerstore;
using test::error_of;
using test::import;
using test::shell;
using test::TempFolder;
using test::TempStore;

namespace {

std::string small_tar(const TempFolder& folder, const std::string& name, const std::string& content) {
  test::make_tree(folder, name, "echo " + content + " > file; mkdir sub; touch -d @1000000000 file sub .");
  return test::tar_of(folder.path() + "/" + name);
}

}  // namespace

TEST_CASE("a new store is an OCI image layout that only its owner can enter", "[layerstore][store]") {
  const TempFolder folder;
  const mode_t before = ::umask(0);
  const Store store = Store::open(folder.path() + "/a/b/root");
  ::umask(before);
  CHECK(store.path() == folder.path() + "/a/b/root");
  CHECK(shell("cat " + store.path() + "/oci-layout").output == R"({"imageLayoutVersion":"1.0.0"})");
  CHECK(Json::parse(shell("cat " + store.path() + "/index.json").output) ==
        Json{{"schemaVersion", 2}, {"mediaType", media_type::kIndex}, {"manifests", Json::array()}});
  CHECK(shell("find " + store.path() + " -type d ! -perm 700; find " + store.path() + " -type f ! -perm 600")
            .output == "");
  CHECK(shell("setpriv --reuid=65534 --regid=65534 --clear-groups ls " + store.path()).status != 0);
}

TEST_CASE("a store is opened again as it is, and completed when its making was interrupted",
          "[layerstore][store]") {
  const TempFolder folder;
  const std::string root = folder.path() + "/root";
  Store::open(root).blobs().put("kept", "text/plain");
  CHECK(Store::open(root).blobs().read(digest_of("kept")) == "kept");

  REQUIRE(
      shell("mkdir -p " + folder.path() + "/half/blobs && touch " + folder.path() + "/half/lock").status ==
      0);
  CHECK(Store::open(folder.path() + "/half").images().list().empty());
  REQUIRE(shell("mkdir " + folder.path() + "/empty").status == 0);
  CHECK(Store::open(folder.path() + "/empty").images().list().empty());
}

TEST_CASE("a folder that holds something else is refused untouched", "[layerstore][store]") {
  const TempFolder folder;
  REQUIRE(shell("mkdir " + folder.path() + "/home && touch " + folder.path() + "/home/letter").status == 0);
  const Error error = error_of([&] { Store::open(folder.path() + "/home"); });
  CHECK(error.code() == Errc::invalid);
  CHECK_FALSE(error.hint().empty());
  CHECK(shell("ls -A " + folder.path() + "/home").output == "letter\n");

  REQUIRE(shell("touch " + folder.path() + "/file").status == 0);
  error_of([&] { Store::open(folder.path() + "/file"); });
  error_of([] { Store::open(""); });
  REQUIRE(shell("mkdir " + folder.path() + "/new && echo '{\"imageLayoutVersion\":\"9\"}' > " +
                folder.path() + "/new/oci-layout")
              .status == 0);
  CHECK(error_of([&] { Store::open(folder.path() + "/new"); }).code() == Errc::unsupported);
}

TEST_CASE("a user who may not write there is told what to do", "[layerstore][store]") {
  const TempFolder folder;
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(2);
    try {
      Store::open(folder.path() + "/root");
    } catch (const Error& error) {
      ::_exit(error.code() == Errc::denied && error.hint().find("--root") != std::string::npos ? 0 : 3);
    }
    ::_exit(4);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("processes that make the same store at the same time all get it", "[layerstore][store]") {
  const TempFolder folder;
  for (int round = 0; round < 6; ++round) {
    const std::string root = folder.path() + "/root" + std::to_string(round);
    std::vector<pid_t> children;
    for (int i = 0; i < 4; ++i) {
      const pid_t child = ::fork();
      if (child == 0) {
        try {
          const Store store = Store::open(root);
          store.images().put("a:" + std::to_string(i), store.blobs().put("{}", media_type::kManifest));
        } catch (const Error&) {
          ::_exit(1);
        }
        ::_exit(0);
      }
      children.push_back(child);
    }
    for (const pid_t child : children) {
      int status = 0;
      REQUIRE(::waitpid(child, &status, 0) == child);
      CHECK(status == 0);
    }
    CHECK(Store::open(root).images().list().size() == 4);
  }
}

TEST_CASE("skopeo reads the store itself as an OCI layout", "[layerstore][store]") {
  const TempStore temp;
  const Image image =
      import(temp.store, small_tar(temp.folder, "tree", "hello"), "localhost:5000/team/myapp:1");
  import(temp.store, small_tar(temp.folder, "other", "other"), "myapp:1");
  const test::ShellResult inspected =
      shell("skopeo inspect oci:" + temp.path() + ":localhost:5000/team/myapp:1");
  INFO(inspected.output);
  REQUIRE(inspected.status == 0);
  const Json json = Json::parse(inspected.output);
  CHECK(json["Digest"] == image.descriptor.digest.to_string());
  CHECK(json["Layers"] == Json::array({image.manifest.layers[0].digest.to_string()}));
  CHECK(shell("skopeo inspect oci:" + temp.path() + ":myapp:1").status == 0);
  const test::ShellResult copied =
      shell("skopeo copy oci:" + temp.path() + ":myapp:1 dir:" + temp.folder.path() + "/copy");
  INFO(copied.output);
  CHECK(copied.status == 0);
}

TEST_CASE("an image that skopeo copies into the store can be loaded", "[layerstore][store]") {
  const TempStore source;
  const TempStore target;
  const Image image =
      import(source.store, small_tar(source.folder, "tree", "hello"), "app:1", Compression::gzip);
  const test::ShellResult copied =
      shell("skopeo copy oci:" + source.path() + ":app:1 oci:" + target.path() + ":copied:2");
  INFO(copied.output);
  REQUIRE(copied.status == 0);
  const auto found = target.store.images().find("copied:2");
  REQUIRE(found);
  CHECK(found->digest == image.descriptor.digest);
  const Image loaded = target.store.load(*found);
  target.store.layers().ensure(loaded.config.diff_ids[0], loaded.manifest.layers[0], target.store.blobs());
  CHECK(shell("cat " + test::ShownLayer(target.store, loaded.config.diff_ids[0]).path() + "/file").output ==
        "hello\n");
}

TEST_CASE("load refuses an image whose layers and diff_ids do not pair", "[layerstore][store]") {
  const TempStore temp;
  const Image image = import(temp.store, small_tar(temp.folder, "tree", "hello"), "app:1");
  Manifest manifest = image.manifest;
  manifest.layers.push_back(manifest.layers[0]);
  const Descriptor forged = temp.store.blobs().put(write_manifest(manifest), media_type::kManifest);
  const Error error = error_of([&] { temp.store.load(forged); });
  CHECK(error.code() == Errc::invalid);
  CHECK(error.message().find("2 layers, but 1 diff_ids") != std::string::npos);
}

TEST_CASE("load says which blob is missing or damaged, or that it is no image", "[layerstore][store]") {
  const TempStore temp;
  const Image image = import(temp.store, small_tar(temp.folder, "tree", "hello"), "app:1");
  Descriptor wrong_size = image.descriptor;
  ++wrong_size.size;
  CHECK(error_of([&] { temp.store.load(wrong_size); }).code() == Errc::corrupt);

  Manifest artifact = image.manifest;
  artifact.config.media_type = "application/vnd.cncf.helm.config.v1+json";
  const Descriptor stored = temp.store.blobs().put(write_manifest(artifact), media_type::kManifest);
  CHECK(error_of([&] { temp.store.load(stored); }).code() == Errc::unsupported);

  temp.store.blobs().remove(image.id());
  const Error missing = error_of([&] { temp.store.load(image.descriptor); });
  CHECK(missing.code() == Errc::not_found);
  CHECK(missing.message().find(image.id().hex()) != std::string::npos);
}

TEST_CASE("load goes through an index to the manifest for this machine, but not through endless ones",
          "[layerstore][store]") {
  const TempStore temp;
  const Image image = import(temp.store, small_tar(temp.folder, "tree", "hello"), "app:1");
  Descriptor entry = image.descriptor;
  entry.platform = host_platform();
  for (int depth = 1; depth <= kMaxIndexDepth + 1; ++depth) {
    const Index index{.media_type = std::string(media_type::kIndex), .manifests = {entry}};
    entry = temp.store.blobs().put(write_index(index), media_type::kIndex);
    if (depth <= kMaxIndexDepth) {
      CHECK(temp.store.load(entry).descriptor.digest == image.descriptor.digest);
    } else {
      CHECK(error_of([&] { temp.store.load(entry); }).code() == Errc::invalid);
    }
    entry.platform = host_platform();
  }
}

TEST_CASE("what no name reaches is collected, with its unpacked layers, and the rest stays",
          "[layerstore][store]") {
  const TempStore temp;
  const Image kept = import(temp.store, small_tar(temp.folder, "kept", "kept"), "kept:1");
  const Image gone = import(temp.store, small_tar(temp.folder, "gone", "gone"), "gone:1");
  temp.store.images().put("alias:1", kept.descriptor);
  CHECK(test::collect(temp.store).blobs == 0);

  CHECK(temp.store.images().remove("gone:1"));
  CHECK(temp.store.images().remove("kept:1"));
  CollectResult result = test::collect(temp.store);
  CHECK(result.blobs == 3);
  CHECK(result.layers == 1);
  CHECK(result.bytes > gone.manifest.layers[0].size);
  CHECK(test::debris(temp.path()) == 1);  // removed, but its space is not free yet
  result.trash.reset();
  CHECK_FALSE(temp.store.layers().has(gone.config.diff_ids[0]));
  CHECK(temp.store.layers().has(kept.config.diff_ids[0]));
  CHECK(temp.store.load(kept.descriptor).id() == kept.id());
  CHECK(test::debris(temp.path()) == 0);
}

TEST_CASE("an image stays whole though another one calls its manifest a layer", "[layerstore][store]") {
  const TempStore temp;
  const Image victim = import(temp.store, small_tar(temp.folder, "tree", "hello"), "victim:1");
  const Image other = import(temp.store, small_tar(temp.folder, "other", "other"), "base:1");
  Manifest lying = other.manifest;
  lying.layers[0].digest = victim.descriptor.digest;
  lying.layers[0].size = victim.descriptor.size;
  const auto lie = temp.store.blobs().put(write_manifest(lying), std::string(media_type::kManifest));
  temp.store.images().put("a-lie:1", lie);  // is followed first
  CHECK(test::collect(temp.store).blobs == 0);
  CHECK(temp.store.load(victim.descriptor).id() == victim.id());
  CHECK(temp.store.blobs().has(victim.manifest.layers[0].digest));
}

TEST_CASE("a layer that a container uses is not collected", "[layerstore][store]") {
  const TempStore temp;
  const Image image = import(temp.store, small_tar(temp.folder, "tree", "hello"), "app:1");
  temp.store.images().remove("app:1");
  CHECK(test::collect(temp.store, {.layers = {image.config.diff_ids[0]}}).layers == 0);
  CHECK(temp.store.layers().has(image.config.diff_ids[0]));
  CHECK(test::collect(temp.store).layers == 1);
}

TEST_CASE("the image that a container stands on stays whole, though its name is gone",
          "[layerstore][store]") {
  const TempStore temp;
  const Image image = import(temp.store, small_tar(temp.folder, "tree", "hello"), "app:1");
  temp.store.images().remove("app:1");
  CHECK(test::collect(temp.store, {.manifests = {image.descriptor.digest}}).blobs == 0);
  CHECK(temp.store.load(image.descriptor).id() == image.id());
  CHECK(temp.store.layers().has(image.config.diff_ids[0]));
  CHECK(test::collect(temp.store).blobs == 3);
}

TEST_CASE("nothing is collected while somebody writes", "[layerstore][store]") {
  const TempStore temp;
  temp.store.blobs().put("unnamed", "text/plain");
  {
    const FileLock writing = temp.store.share();
    const FileLock another = Store::open(temp.path()).share();
    CHECK(test::collect(temp.store).blobs == 0);
  }
  CHECK(test::collect(temp.store).blobs == 1);
}

TEST_CASE("what containers need is asked when no new one can come any more", "[layerstore][store]") {
  const TempStore temp;
  bool could_add = true;
  temp.store.collect([&] {
    could_add =
        FileLock::try_acquire(sys::open_dir(sys::cwd(), temp.path()), "lock", LockMode::shared).has_value();
    return InUse{};
  });
  CHECK_FALSE(could_add);
}

TEST_CASE("an index keeps alive what it reaches, though other platforms were never pulled",
          "[layerstore][store]") {
  const TempStore temp;
  const Image image = import(temp.store, small_tar(temp.folder, "tree", "hello"), "app:1");
  Descriptor entry = image.descriptor;
  entry.platform = host_platform();
  Descriptor absent = entry;
  absent.digest = digest_of("elsewhere");
  const Index index{.media_type = std::string(media_type::kIndex), .manifests = {entry, absent}};
  temp.store.images().put("multi:1", temp.store.blobs().put(write_index(index), media_type::kIndex));
  temp.store.images().remove("app:1");
  CHECK(test::collect(temp.store).blobs == 0);
  CHECK(temp.store.load(*temp.store.images().find("multi:1")).id() == image.id());
}

TEST_CASE("nothing is collected when a manifest cannot be read, since it might reach anything",
          "[layerstore][store]") {
  const TempStore temp;
  const Image image = import(temp.store, small_tar(temp.folder, "tree", "hello"), "app:1");
  temp.store.blobs().put("unnamed", "text/plain");
  const std::string file = temp.path() + "/blobs/sha256/" + image.descriptor.digest.hex();
  REQUIRE(shell("printf x >> " + file).status == 0);
  CHECK(error_of([&] { test::collect(temp.store); }).code() == Errc::corrupt);
  CHECK(temp.store.layers().has(image.config.diff_ids[0]));
  temp.store.images().remove("app:1");
  CHECK(test::collect(temp.store).blobs == 4);
}
