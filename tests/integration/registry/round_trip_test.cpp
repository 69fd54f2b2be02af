#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <regex>

#include "base/syscalls.h"
#include "docker_registry.h"
#include "error_of.h"
#include "registry/relay.h"
#include "registry/transfer.h"
#include "shown_layer.h"
#include "store_support.h"

using namespace lay::registry;
using lay::Errc;
using lay::layerstore::Compression;
using lay::layerstore::Image;
using lay::test::DockerRegistry;
using lay::test::error_of;
using lay::test::listing;
using lay::test::RegistryLogin;
using lay::test::RegistryTls;
using lay::test::shell;
using lay::test::ShellResult;
using lay::test::TempFolder;
using lay::test::TempStore;

namespace {

const Credentials kAnn{.username = "ann", .password = "s3cret:pw"};

std::string run(const std::string& command) {
  const ShellResult result = shell(command);
  INFO(command << '\n' << result.output);
  REQUIRE(result.status == 0);
  return result.output;
}

/// An image of two layers, the upper one with a whiteout.
Image make_image(const TempStore& store, const TempFolder& scratch, const std::string& name,
                 Compression compression) {
  lay::test::make_tree(scratch, "base",
                       "mkdir etc; echo one >etc/motd; echo gone >etc/old; ln -s motd etc/link");
  const Image base = lay::test::import(store.store, lay::test::tar_of(scratch.path() + "/base"),
                                       name + "-base", compression);
  const lay::UniqueFd upper = lay::test::make_tree(
      scratch, "upper", "mkdir etc; mknod etc/old c 0 0; head -c 3000000 /dev/urandom >etc/big");
  return lay::layerstore::commit_upper(store.store, upper, name,
                                       {.base = base, .compression = {.compression = compression}},
                                       lay::no_progress());
}

Connection connect_as(const Credentials& credentials) {
  return {.credentials = credentials};
}

struct Pushed {
  TempStore store;
  TempFolder scratch;
  Image image;

  explicit Pushed(Compression compression = Compression::zstd)
      : image(make_image(store, scratch, "app:1", compression)) {}

  PushResult to(const std::string& reference, const Connection& connection = {}) const {
    return push(store.store, image.descriptor,
                {.reference = parse_reference(reference), .connection = connection}, lay::no_progress());
  }
};

/// A layer's listing without the times of its whiteouts, which are nobody's.
std::string layer_listing(const TempStore& store, const lay::layerstore::Digest& diff_id) {
  const std::regex whiteout(" c 0 0:0 0 [0-9.]+");
  return std::regex_replace(listing(lay::test::ShownLayer(store.store, diff_id).path()), whiteout, " c");
}

/// The layers of one image, as mounted, are the same in both stores.
void check_same_layers(const Image& image, const TempStore& one, const TempStore& other) {
  for (std::size_t i = 0; i < image.config.diff_ids.size(); ++i) {
    const auto& diff_id = image.config.diff_ids[i];
    one.store.layers().ensure(diff_id, image.manifest.layers[i], one.store.blobs());
    CHECK(layer_listing(one, diff_id) == layer_listing(other, diff_id));
  }
}

Image pull_into(const TempStore& store, const std::string& reference, const Connection& connection = {}) {
  return pull(store.store, {.reference = parse_reference(reference), .connection = connection}, reference,
              lay::no_progress());
}

}  // namespace

namespace {

/// Adds up what its tasks are told.
struct Told final : lay::Progress {
  struct Part final : Task {
    explicit Part(Told& told) : all(told) {}
    void advance(std::uint64_t bytes) override { all.bytes += bytes; }
    void done(const std::string&) override { ++all.done; }
    Told& all;
  };
  std::unique_ptr<Task> begin(const std::string&, std::uint64_t) override {
    return std::make_unique<Part>(*this);
  }
  std::atomic<std::uint64_t> bytes = 0;
  std::atomic<unsigned> done = 0;
};

}  // namespace

TEST_CASE("fetching all that a name leads to tells how far it is", "[registry][relay]") {
  const DockerRegistry registry;
  const Pushed pushed;
  pushed.to(registry.host() + "/app:1");
  const TempStore other;
  Told told;
  const lay::FileLock adding = other.store.begin_adding();
  const auto whole = pull_whole(other.store, parse_reference(registry.host() + "/app:1"), {}, told);
  REQUIRE(whole.blobs.size() == 3);
  std::uint64_t size = 0;
  for (const auto& blob : whole.blobs) size += blob.size;
  CHECK(told.bytes == size);
  CHECK(told.done == 3);
}

TEST_CASE("what was pushed is pulled elsewhere as the same image with the same layers",
          "[registry][transfer]") {
  const DockerRegistry registry;
  const std::string name = registry.host() + "/team/app:1";
  const Pushed here;
  const PushResult result = here.to(name);
  CHECK(result.manifest == here.image.descriptor.digest);
  CHECK(result.blobs_sent == 3);
  CHECK(result.blobs_there == 0);

  const TempStore there;
  const Image image = pull_into(there, name);
  CHECK(image.descriptor == here.image.descriptor);
  CHECK(image.id() == here.image.id());
  CHECK(there.store.images().find(name) == image.descriptor);
  check_same_layers(here.image, here.store, there);
}

TEST_CASE("a second push sends no blob and a second pull fetches none", "[registry][transfer]") {
  const DockerRegistry registry;
  const std::string name = registry.host() + "/team/app:1";
  const Pushed here;
  here.to(name);
  const PushResult again = here.to(registry.host() + "/team/app:2");
  CHECK(again.blobs_sent == 0);
  CHECK(again.blobs_there == 3);

  const TempStore there;
  pull_into(there, name);
  for (const auto& layer : here.image.manifest.layers)
    run("rm -r " + registry.blob_path(layer.digest.hex()));  // a fetch would fail now
  CHECK_NOTHROW(pull_into(there, registry.host() + "/team/app:2"));
}

TEST_CASE("a damaged blob is not pushed, and a pull mends it", "[registry][transfer]") {
  const DockerRegistry registry;
  const DockerRegistry other;  // has nothing that could be mounted instead
  const std::string name = registry.host() + "/team/app:1";
  Pushed here;
  here.to(name);
  const auto& layer = here.image.manifest.layers.back();
  const std::string file = here.store.path() + "/blobs/sha256/" + layer.digest.hex();
  run("chmod u+w " + file + " && printf XX | dd of=" + file + " bs=1 seek=40 conv=notrunc status=none");
  CHECK(error_of([&] { here.to(other.host() + "/other/app:1"); }).code() == Errc::corrupt);
  pull_into(here.store, name);
  CHECK_NOTHROW(here.to(other.host() + "/other/app:1"));
}

TEST_CASE("skopeo reads what lay pushed, byte for byte", "[registry][transfer]") {
  const DockerRegistry registry;
  const Pushed here;
  here.to(registry.host() + "/team/app:1");
  const std::string source = " docker://" + registry.host() + "/team/app:1";
  const std::string raw = run("skopeo inspect --raw --tls-verify=false" + source);
  CHECK(lay::layerstore::digest_of(raw) == here.image.descriptor.digest);

  const TempFolder copy;
  run("skopeo copy -q --src-tls-verify=false" + source + " oci:" + copy.path() + "/image:1");
  for (const auto& layer : here.image.manifest.layers)
    run("cmp " + copy.path() + "/image/blobs/sha256/" + layer.digest.hex() + " " + here.store.path() +
        "/blobs/sha256/" + layer.digest.hex());
}

TEST_CASE("an image that skopeo pushed as Docker schema 2 with gzip is pulled", "[registry][transfer]") {
  const DockerRegistry registry;
  const Pushed here(Compression::gzip);
  const std::string name = registry.host() + "/team/docker:1";
  run("skopeo copy -q --dest-tls-verify=false --format v2s2 oci:" + here.store.path() + ":app:1 docker://" +
      name);
  const TempStore there;
  const Image image = pull_into(there, name);
  CHECK(image.manifest.media_type == "application/vnd.docker.distribution.manifest.v2+json");
  CHECK(image.config.diff_ids == here.image.config.diff_ids);
  check_same_layers(here.image, here.store, there);

  // and pushed again as what it is
  const PushResult again =
      push(there.store, image.descriptor, {.reference = parse_reference(registry.host() + "/other:1")},
           lay::no_progress());
  CHECK(again.manifest == image.descriptor.digest);
}

TEST_CASE("of an index the entry for the platform is pulled", "[registry][transfer]") {
  const DockerRegistry registry;
  const Pushed here;
  here.to(registry.host() + "/team/app:1");
  const auto& descriptor = here.image.descriptor;
  const std::string entry = R"("mediaType":")" + descriptor.media_type + R"(","digest":")" +
                            descriptor.digest.to_string() + R"(","size":)" + std::to_string(descriptor.size);
  const std::string index =
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{)" + entry +
      R"(,"platform":{"os":"linux","architecture":")" + lay::layerstore::host_platform().architecture +
      "\"}}]}";
  lay::replace_file(here.scratch.fd(), "index", index);
  run("curl -fsS -X PUT -H 'Content-Type: application/vnd.oci.image.index.v1+json' --data-binary @" +
      here.scratch.path() + "/index http://" + registry.host() + "/v2/team/app/manifests/multi");

  const TempStore there;
  const std::string name = registry.host() + "/team/app:multi";
  CHECK(pull_into(there, name).descriptor == descriptor);
  const PullRequest other{.reference = parse_reference(name),
                          .platform = {.os = "linux", .architecture = "mips"}};
  const lay::Error error = error_of([&] { pull(there.store, other, name, lay::no_progress()); });
  CHECK(error.code() == Errc::not_found);
  CHECK(error.message().find("linux/mips") != std::string::npos);

  const std::string by_digest =
      registry.host() + "/team/app@" + lay::layerstore::digest_of(index).to_string();
  CHECK(pull_into(there, by_digest).descriptor == descriptor);
}

TEST_CASE("a pull by digest gets exactly that image, and a push to another digest is refused",
          "[registry][transfer]") {
  const DockerRegistry registry;
  const Pushed here;
  const std::string by_digest = registry.host() + "/team/app@" + here.image.descriptor.digest.to_string();
  here.to(by_digest);
  const TempStore there;
  CHECK(pull_into(there, by_digest).descriptor == here.image.descriptor);
  const std::string other = registry.host() + "/team/app@sha256:" + std::string(64, 'a');
  CHECK(error_of([&] { here.to(other); }).code() == Errc::invalid);
  CHECK(error_of([&] { pull_into(there, other); }).code() == Errc::not_found);
}

TEST_CASE("an unknown image is one clear line", "[registry][transfer]") {
  const DockerRegistry registry;
  const TempStore store;
  const lay::Error error = error_of([&] { pull_into(store, registry.host() + "/team/nothing:9"); });
  CHECK(error.code() == Errc::not_found);
  CHECK(error.message().find("registry " + registry.host() + ": team/nothing:9: manifest unknown") !=
        std::string::npos);
  CHECK(store.store.images().list().empty());
}

TEST_CASE("a registry that is down is one clear line with a hint", "[registry][transfer]") {
  const TempStore store;
  const std::string host = "localhost:" + std::to_string(lay::test::free_port());
  const lay::Error error = error_of([&] { pull_into(store, host + "/app:1"); });
  CHECK(error.code() == Errc::unavailable);
  CHECK(error.message() == "cannot reach registry " + host + ": connection refused");
  CHECK_FALSE(error.hint().empty());
  CHECK(error_of([&] { pull_into(store, "no-such-host.invalid/app:1"); }).message() ==
        "cannot reach registry no-such-host.invalid: no such host");
}

TEST_CASE("a damaged blob is found while it is pushed, and the registry does not get it",
          "[registry][transfer]") {
  const DockerRegistry registry;
  const Pushed here;
  const auto& layer = here.image.manifest.layers.back();
  const std::string path = here.store.path() + "/blobs/sha256/" + layer.digest.hex();
  run("chmod 600 " + path + " && printf X | dd of=" + path + " bs=1 seek=1000000 conv=notrunc");
  const lay::Error error = error_of([&] { here.to(registry.host() + "/team/app:1"); });
  CHECK(error.code() == Errc::corrupt);
  CHECK(error.message().find("got sha256:") != std::string::npos);
  CHECK(error.message().find("expected " + layer.digest.to_string()) != std::string::npos);
  CHECK(shell("test -e " + registry.blob_path(layer.digest.hex())).status != 0);
  CHECK(shell("curl -fsS http://" + registry.host() + "/v2/team/app/manifests/1").status != 0);

  run("truncate -s 100 " + path);
  CHECK(error_of([&] { here.to(registry.host() + "/team/app:1"); }).message().find("got 100 bytes") !=
        std::string::npos);
}

TEST_CASE("a pull heals a blob that was damaged in the store", "[registry][transfer]") {
  const DockerRegistry registry;
  const std::string name = registry.host() + "/team/app:1";
  const Pushed here;
  here.to(name);
  const auto& layer = here.image.manifest.layers.back();
  const TempStore there;
  pull_into(there, name);
  const std::string path = there.path() + "/blobs/sha256/" + layer.digest.hex();
  run("chmod 600 " + path + " && printf X | dd of=" + path + " bs=1 seek=1000 conv=notrunc");
  there.store.layers().remove(here.image.config.diff_ids.back());
  pull_into(there, name);
  CHECK(run("sha256sum <" + path).starts_with(layer.digest.hex()));
  CHECK(there.store.layers().has(here.image.config.diff_ids.back()));
}

TEST_CASE("Basic credentials open a registry, wrong or missing ones do not", "[registry][auth]") {
  const DockerRegistry registry(RegistryTls::off, RegistryLogin::htpasswd);
  const std::string name = registry.host() + "/team/app:1";
  const Pushed here;
  const std::string stranger = here.scratch.path() + "/nobody.json";
  CredentialStore(stranger).save("registry.example", kAnn);

  const lay::Error missing = error_of([&] { here.to(name, {.authfile = stranger}); });
  CHECK(missing.code() == Errc::unauthorized);
  CHECK(missing.hint() == "lay login " + registry.host());
  const lay::Error wrong =
      error_of([&] { here.to(name, connect_as({.username = "ann", .password = "wrong-pw"})); });
  CHECK(wrong.code() == Errc::unauthorized);
  CHECK(wrong.message().find("wrong-pw") == std::string::npos);

  CHECK(here.to(name, connect_as(kAnn)).blobs_sent == 3);
  const std::string authfile = here.scratch.path() + "/auth.json";
  CredentialStore(authfile).save(registry.host(), kAnn);
  const TempStore there;
  CHECK(pull_into(there, name, {.authfile = authfile}).descriptor == here.image.descriptor);
  CHECK(run("skopeo inspect --authfile " + authfile + " --tls-verify=false --format '{{.Digest}}' docker://" +
            name) == here.image.descriptor.digest.to_string() + "\n");
}

TEST_CASE("skopeo's login is understood", "[registry][auth]") {
  const DockerRegistry registry(RegistryTls::off, RegistryLogin::htpasswd);
  const TempFolder scratch;
  const std::string authfile = scratch.path() + "/auth.json";
  run("echo s3cret:pw | skopeo login --tls-verify=false --authfile " + authfile +
      " -u ann --password-stdin " + registry.host());
  CHECK(CredentialStore(authfile).find(registry.host(), "any") == kAnn);
}

TEST_CASE("a login is checked against the registry before it is kept", "[registry][auth]") {
  const DockerRegistry registry(RegistryTls::off, RegistryLogin::htpasswd);
  CHECK_NOTHROW(check_login(registry.host(), kAnn, {}));
  const lay::Error error =
      error_of([&] { check_login(registry.host(), {.username = "ann", .password = "no"}, {}); });
  CHECK(error.code() == Errc::unauthorized);
  CHECK_NOTHROW(check_login(DockerRegistry().host(), kAnn, {}));
}

TEST_CASE("R10: a self-signed certificate is refused, unless verification is turned off", "[registry][tls]") {
  const DockerRegistry registry(RegistryTls::self_signed, RegistryLogin::htpasswd);
  const std::string name = registry.host() + "/team/app:1";
  const Pushed here;
  const lay::Error error = error_of([&] { here.to(name, connect_as(kAnn)); });
  CHECK(error.code() == Errc::unavailable);
  CHECK(error.message().find("certificate") != std::string::npos);
  CHECK(error.hint().find("--tls-verify=false") != std::string::npos);

  Connection connection = connect_as(kAnn);
  connection.tls_verify = TlsVerify::off;
  CHECK(here.to(name, connection).blobs_sent == 3);
  const TempStore there;
  CHECK(pull_into(there, name, connection).descriptor == here.image.descriptor);
}
