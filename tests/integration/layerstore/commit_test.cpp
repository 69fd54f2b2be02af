#include <sys/stat.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <clocale>

#include "error_of.h"
#include "layerstore/media_types.h"
#include "shown_layer.h"
#include "store_support.h"

using namespace lay;
using namespace lay::layerstore;
using test::debris;
using test::error_of;
using test::import;
using test::shell;
using test::TempFolder;
using test::TempStore;

namespace {

const char* const kBaseScript = R"(
mkdir -p etc usr/bin gone opaque/old
echo base > etc/kept; echo base > etc/changed; echo x > gone/file; echo x > opaque/old/file
echo tool > usr/bin/tool; chmod 4755 usr/bin/tool; ln -s usr/bin bin)";

const char* const kChangeScript = R"sh(
echo new > logo; echo changed > etc/changed; rm -r gone; rm -r opaque; mkdir opaque; echo y > opaque/fresh
mkdir -p deep/er; echo a > deep/er/one; ln deep/er/one deep/two; ln -s ../logo deep/link; mkfifo pipe
mknod null c 1 3; chown 33:44 deep; chmod 1777 deep; touch "with space" "$(printf 'l\303\266we')"
chmod 600 etc/kept; touch -d @1234567890 logo; setfattr -n user.note -v hi logo
setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 logo; rm bin; mkdir bin; echo z > bin/z
)sh";

/// An overlay mount on a new folder; gone at the end however the test ends.
class MountedOverlay {
 public:
  MountedOverlay(std::string path, const std::string& options) : path_(std::move(path)) {
    const test::ShellResult mounted =
        shell("mkdir " + path_ + " && mount -t overlay lay-test -o " + options + " " + path_);
    INFO(mounted.output);
    REQUIRE(mounted.status == 0);
  }
  ~MountedOverlay() { shell("umount " + path_ + " && rmdir " + path_); }
  MountedOverlay(const MountedOverlay&) = delete;
  MountedOverlay& operator=(const MountedOverlay&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// An upper on an image's layer, with changes made through the mounted view.
class ChangedView {
 public:
  ChangedView(const TempStore& temp, const Image& base)
      : upper_(test::make_tree(temp.folder, "upper", "mkdir ../work")),
        shown_(temp.store, base.config.diff_ids.front()),
        view_(temp.folder.path() + "/merged",
              "redirect_dir=off,metacopy=off,index=off,lowerdir=" + shown_.path() +
                  ",upperdir=" + temp.folder.path() + "/upper,workdir=" + temp.folder.path() + "/work") {
    const test::ShellResult changed = shell("cd " + merged() + " && set -e\n" + kChangeScript);
    INFO(changed.output);
    REQUIRE(changed.status == 0);
  }

  const std::string& merged() const { return view_.path(); }
  const UniqueFd& upper() const { return upper_; }

 private:
  UniqueFd upper_;
  test::ShownLayer shown_;
  MountedOverlay view_;
};

Image import_base(const TempStore& temp, Compression compression = Compression::gzip) {
  test::make_tree(temp.folder, "base", kBaseScript);
  return import(temp.store, test::tar_of(temp.folder.path() + "/base"), "base:1", compression);
}

CommitRequest on_base(const Image& base) {
  CommitRequest request{.base = base, .run = base.config.run};
  request.history = {.created = "2026-01-02T03:04:05Z", .created_by = "lay commit"};
  return request;
}

/// The merged view that the kernel gives of an image's layers, read from the store alone.
std::string listing_of_layers(const TempFolder& folder, const Store& store, const Image& image) {
  for (std::size_t i = 0; i < image.config.diff_ids.size(); ++i)
    store.layers().ensure(image.config.diff_ids[i], image.manifest.layers[i], store.blobs());
  const test::ShownLayers shown(store, image.config.diff_ids);
  const std::string empty = folder.path() + "/empty";  // without an upper, the kernel wants two lowers
  REQUIRE(shell("mkdir -p " + empty).status == 0);
  const MountedOverlay view(folder.path() + "/again", "ro,lowerdir=" + shown.joined() + ":" + empty);
  return test::listing(view.path());
}

}  // namespace

TEST_CASE("a committed upper and its base give the merged view again", "[layerstore][commit]") {
  const TempStore temp;
  const Image base = import_base(temp);
  const ChangedView view(temp, base);
  const Image image = commit_upper(temp.store, view.upper(), "app:1", on_base(base), no_progress());
  CHECK(image.config.diff_ids.size() == 2);
  CHECK(listing_of_layers(temp.folder, temp.store, image) == test::listing(view.merged()));
  CHECK(debris(temp.path()) == 0);
}

TEST_CASE("umoci unpacks a committed image to the merged view", "[layerstore][commit]") {
  const TempStore temp;
  const Image base = import_base(temp);
  const ChangedView view(temp, base);
  CommitRequest request = on_base(base);
  request.compression.compression = Compression::gzip;
  const Image image = commit_upper(temp.store, view.upper(), "app:1", request, no_progress());
  const std::string layout = temp.folder.path() + "/layout";
  // A copy, because umoci keeps files of its own in a layout, and because skopeo judges the bytes on the way.
  const test::ShellResult unpacked =
      shell("skopeo copy -q oci:" + temp.path() + ":app:1 oci:" + layout + ":app && " +
            "umoci unpack --image " + layout + ":app " + temp.folder.path() + "/bundle");
  INFO(unpacked.output);
  REQUIRE(unpacked.status == 0);
  CHECK(test::listing(temp.folder.path() + "/bundle/rootfs") == test::listing(view.merged()));
}

TEST_CASE("a commit adds a layer and history, and lists a Docker base's layers with OCI types",
          "[layerstore][commit]") {
  const TempStore temp;
  Image base = import_base(temp);
  base.manifest.media_type = media_type::kDockerManifest;
  base.manifest.config.media_type = media_type::kDockerConfig;
  base.manifest.layers[0].media_type = media_type::kDockerLayerGzip;
  base.manifest.annotations["org.opencontainers.image.version"] = "of the base";
  CommitRequest request = on_base(base);
  request.run.cmd = {"apachectl", "-DFOREGROUND"};
  request.run.exposed_ports = {"80/tcp"};
  test::make_tree(temp.folder, "upper", "echo hello > logo");
  const Image image =
      commit_upper(temp.store, sys::open_dir(temp.folder.fd(), "upper"), "app:1", request, no_progress());

  CHECK(image.descriptor.media_type == media_type::kManifest);
  CHECK(image.manifest.config.media_type == media_type::kConfig);
  REQUIRE(image.manifest.layers.size() == 2);
  CHECK(image.manifest.layers[0].media_type == media_type::kLayerGzip);
  CHECK(image.manifest.layers[0].digest == base.manifest.layers[0].digest);
  CHECK(image.manifest.layers[1].media_type == media_type::kLayerZstd);
  CHECK(image.manifest.annotations.empty());
  CHECK(image.config.created == "2026-01-02T03:04:05Z");
  CHECK(image.config.run.cmd == request.run.cmd);
  CHECK(image.config.run.exposed_ports == request.run.exposed_ports);
  REQUIRE(image.config.history.size() == 2);
  CHECK(image.config.history[1] == request.history);
  CHECK(temp.store.images().find("app:1")->digest == image.descriptor.digest);
  CHECK(temp.store.load(image.descriptor).id() == image.id());
}

TEST_CASE("history that a base does not tell is filled up, so that it pairs with the layers",
          "[layerstore][commit]") {
  const TempStore temp;
  Image base = import_base(temp);
  base.config.history = {{.created_by = "ENV", .empty_layer = true}};
  test::make_tree(temp.folder, "upper", "echo hello > logo");
  const Image image = commit_upper(temp.store, sys::open_dir(temp.folder.fd(), "upper"), "app:1",
                                   on_base(base), no_progress());
  REQUIRE(image.config.history.size() == 3);
  CHECK(image.config.history[1] == History{});
  CHECK(image.config.history[2].created_by == "lay commit");
}

TEST_CASE("a commit on a base whose blobs are gone gets no name", "[layerstore][commit]") {
  const TempStore temp;
  const Image base = import_base(temp);
  temp.store.blobs().remove(base.manifest.layers[0].digest);
  test::make_tree(temp.folder, "upper", "echo hello > logo");
  const UniqueFd upper = sys::open_dir(temp.folder.fd(), "upper");
  const Error error =
      error_of([&] { commit_upper(temp.store, upper, "app:1", on_base(base), no_progress()); });
  CHECK(error.code() == Errc::not_found);
  CHECK_FALSE(temp.store.images().find("app:1"));
}

TEST_CASE("an upper without a base is a whole image", "[layerstore][commit]") {
  const TempStore temp;
  test::make_tree(temp.folder, "upper",
                  "mkdir bin; echo x > bin/sh; touch -d @1234567890 bin/sh; touch -d @1000000000 bin .");
  const Image image =
      commit_upper(temp.store, sys::open_dir(temp.folder.fd(), "upper"), "app:1", {}, no_progress());
  CHECK(image.config.diff_ids.size() == 1);
  CHECK(image.config.os == "linux");
  CHECK(image.config.created == "2009-02-13T23:31:30Z");  // that of the newest entry
  CHECK(listing_of_layers(temp.folder, temp.store, image) == test::listing(temp.folder.path() + "/upper"));
}

TEST_CASE("one upper gives one digest, under any umask, locale, time zone and number of cores",
          "[layerstore][commit]") {
  const TempFolder folder;
  test::make_tree(
      folder, "upper",
      std::string(kBaseScript) + "\nhead -c 9000000 /dev/zero > big; seq 1 400000 > numbers; echo > 'ä'");
  struct Place {
    const char* locale;
    const char* zone;
    mode_t mask;
    bool one_core;
  };
  for (const Compression compression : {Compression::none, Compression::gzip, Compression::zstd}) {
    std::set<std::string> digests;
    int root = 0;
    for (const Place& place : {Place{"C", "UTC", 022, false}, Place{"de_DE.UTF-8", "Asia/Tokyo", 0, true},
                               Place{"C.UTF-8", "America/New_York", 077, false}}) {
      const std::string at = fmt::format("{}/{}-{}", folder.path(), to_string(compression), root++);
      const pid_t child = ::fork();
      REQUIRE(child >= 0);
      if (child == 0) {
        ::setenv("LC_ALL", place.locale, 1);
        ::setenv("TZ", place.zone, 1);
        ::tzset();
        (void)std::setlocale(LC_ALL, "");
        ::umask(place.mask);
        cpu_set_t cores;
        CPU_ZERO(&cores);
        CPU_SET(0, &cores);
        if (place.one_core && ::sched_setaffinity(0, sizeof cores, &cores) != 0) ::_exit(1);
        try {
          const Store store = Store::open(at);
          CommitRequest request{.history = {.created_by = "x"}, .compression = {.compression = compression}};
          commit_upper(store, sys::open_dir(folder.fd(), "upper"), "app:1", request, no_progress());
        } catch (const Error&) {
          ::_exit(2);
        }
        ::_exit(0);
      }
      int status = 0;
      REQUIRE(::waitpid(child, &status, 0) == child);
      REQUIRE(status == 0);
      digests.insert(Store::open(at).images().find("app:1")->digest.to_string());
    }
    CAPTURE(to_string(compression));
    CHECK(digests.size() == 1);
  }
}

TEST_CASE("an imported tar is stored byte for byte and unpacked, however it was compressed",
          "[layerstore][commit]") {
  const TempStore temp;
  test::make_tree(temp.folder, "base", kBaseScript);
  REQUIRE(shell("tar --sort=name --numeric-owner --xattrs -C " + temp.folder.path() + "/base -cf " +
                temp.folder.path() + "/t.tar . && cd " + temp.folder.path() +
                " && gzip -k t.tar && zstd -q t.tar")
              .status == 0);
  const std::string tar = shell("cat " + temp.folder.path() + "/t.tar").output;
  for (const char* name : {"t.tar", "t.tar.gz", "t.tar.zst"}) {
    CAPTURE(name);
    const UniqueFd file = sys::open_at(temp.folder.fd(), name, O_RDONLY);
    FdSource source(file);
    const Image image = import_tar(temp.store, source, name, {}, no_progress());
    CHECK(image.config.diff_ids == std::vector<Digest>{digest_of(tar)});
    CHECK(image.manifest.layers[0].media_type == media_type::kLayerZstd);
    CHECK(temp.store.layers().has(image.config.diff_ids[0]));
    CHECK(listing_of_layers(temp.folder, temp.store, image) == test::listing(temp.folder.path() + "/base"));
  }
  CHECK(temp.store.layers().list().size() == 1);
}

TEST_CASE("a tar from the far future gives an image that can be read again", "[layerstore][commit]") {
  const TempStore temp;
  test::make_tree(temp.folder, "base", "echo x > file");
  const std::string tar =
      shell("tar --mtime=@99999999999 --format=pax -C " + temp.folder.path() + "/base -cf - .").output;
  const Image image = import(temp.store, tar, "base:1");
  CHECK(image.config.created == "2262-04-11T23:47:16Z");
  CHECK(temp.store.load(*temp.store.images().find("base:1")).id() == image.id());
}

TEST_CASE("an imported folder is taken as it stands, and can be mounted at once", "[layerstore][commit]") {
  const TempStore temp;
  const UniqueFd folder = test::make_tree(temp.folder, "base", kBaseScript);
  const Image image = import_folder(temp.store, folder, "base:1", {}, no_progress());
  CHECK(temp.store.layers().list() == image.config.diff_ids);
  CHECK(listing_of_layers(temp.folder, temp.store, image) == test::listing(temp.folder.path() + "/base"));
}

TEST_CASE("what of an import or commit is left out is told, with a way to take it in",
          "[layerstore][commit]") {
  const TempStore temp;
  std::vector<std::string> told;
  const CommitRequest request{.warn = [&](const std::string& text) { told.push_back(text); }};
  const UniqueFd folder = test::make_tree(
      temp.folder, "base", "for i in $(seq 10 19); do mkdir $i; mount -t tmpfs lay-test $i; done");
  import_folder(temp.store, folder, "base:1", request, no_progress());
  shell("cd " + temp.folder.path() + "/base && umount *");
  REQUIRE(told.size() == 1);
  CHECK_THAT(told[0], Catch::Contains("17 and 2 more is left out") && Catch::Contains("--xattrs-include=") &&
                          Catch::Contains("--acls") && Catch::Contains("lay import - NAME"));
}

TEST_CASE("where layers are unpacked, an imported folder is when it is first needed",
          "[layerstore][commit]") {
  const TempStore temp{.form = LayerForm::tree};
  const UniqueFd folder = test::make_tree(temp.folder, "base", kBaseScript);
  const Image image = import_folder(temp.store, folder, "base:1", {}, no_progress());
  CHECK(temp.store.layers().list().empty());
  CHECK(listing_of_layers(temp.folder, temp.store, image) == test::listing(temp.folder.path() + "/base"));
}

TEST_CASE("a tar that is broken or cut changes nothing", "[layerstore][commit]") {
  const TempStore temp;
  test::make_tree(temp.folder, "base", kBaseScript);
  const std::string tar = test::tar_of(temp.folder.path() + "/base");
  const std::string cut = shell("tar -C " + temp.folder.path() + "/base -czf - . | head -c 200").output;
  for (const std::string& bytes :
       {tar.substr(0, 2000), std::string("not a tar at all, but long enough") + tar, std::string(4096, 'x'),
        cut}) {
    CAPTURE(bytes.size(), bytes.substr(0, 6));
    StringSource source(bytes);
    error_of([&] { import_tar(temp.store, source, "base:1", {}, no_progress()); });
    CHECK(temp.store.images().list().empty());
    CHECK(temp.store.blobs().list().empty());
    CHECK(temp.store.layers().list().empty());
    CHECK(debris(temp.path()) == 0);
  }
}

TEST_CASE("a commit that is killed leaves no name, and what it left is swept", "[layerstore][commit]") {
  const TempStore temp;
  test::make_tree(temp.folder, "upper", "head -c 30000000 /dev/urandom > big");
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    struct KilledTask final : Progress::Task {
      void advance(std::uint64_t) override {
        if (++calls == 40) ::raise(SIGKILL);
      }
      void done(const std::string&) override {}
      int calls = 0;
    };
    struct Killed final : Progress {
      std::unique_ptr<Task> begin(const std::string&, std::uint64_t) override {
        return std::make_unique<KilledTask>();
      }
    } killed;
    commit_upper(temp.store, sys::open_dir(temp.folder.fd(), "upper"), "app:1", {}, killed);
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  CHECK(temp.store.images().list().empty());
  CHECK(debris(temp.path()) == 2);  // blob and layer
  SECTION("by a collection") {
    test::collect(temp.store);
  }
  SECTION("by whoever adds something next") {
    temp.store.begin_adding();
  }
  CHECK(debris(temp.path()) == 0);
  CHECK(temp.store.blobs().list().empty());
}

TEST_CASE("a full disk while committing leaves the store as it was, and it works once there is space",
          "[layerstore][commit]") {
  const test::SmallDisk disk("2m");
  const TempFolder elsewhere;
  test::make_tree(elsewhere, "upper", "head -c 3000000 /dev/urandom > big");
  const UniqueFd upper = sys::open_dir(elsewhere.fd(), "upper");
  const Store store = Store::open(disk.path() + "/root");
  const Error error = error_of([&] { commit_upper(store, upper, "app:1", {}, no_progress()); });
  CHECK(error.code() == Errc::no_space);
  CHECK(store.images().list().empty());
  CHECK(store.blobs().list().empty());
  CHECK(debris(store.path()) == 0);
  disk.resize("20m");
  commit_upper(store, upper, "app:1", {}, no_progress());
  CHECK(store.images().find("app:1"));
}
